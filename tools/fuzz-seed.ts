// SPDX-License-Identifier: Apache-2.0
/** Loaded before the tests of `make fuzz`: random objects come from one seed. */
import fc from 'fast-check'

fc.configureGlobal({ seed: Number(process.env['FUZZ_SEED']) })
