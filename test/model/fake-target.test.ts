// SPDX-License-Identifier: Apache-2.0
import { fakeTarget } from './fake-target.ts'
import { targetConformance } from './target-conformance.ts'

for (const asynchronous of [false, true]) {
  targetConformance(`in memory, ${asynchronous ? 'awaited' : 'at once'}`, () => ({
    target: fakeTarget<{ key: string; value: number }>({
      name: 'fake',
      key: (row) => row.key,
      store: new Map(),
      asynchronous: () => asynchronous,
    }),
    rows: ['a', 'b', 'c'].map((key) => ({ key, value: 1 })),
    changed: (row) => ({ ...row, value: row.value + 1 }),
  }))
}
