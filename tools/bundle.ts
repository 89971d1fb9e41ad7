// SPDX-License-Identifier: Apache-2.0
/** Bundles each app, src/apps/NAME/main.ts, into build/NAME.js: one file starts in half the time of many. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

const root = join(import.meta.dirname, '..')
const apps = readdirSync(join(root, 'src/apps')).filter((name) => existsSync(join(root, 'src/apps', name, 'main.ts')))

await build({
  absWorkingDir: root,
  entryPoints: Object.fromEntries(apps.map((name) => [name, `src/apps/${name}/main.ts`])),
  outdir: 'build',
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  // Libraries written for CommonJS call require.
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  external: ['koffi'],
  sourcemap: 'linked',
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
}).catch(() => process.exit(1))
