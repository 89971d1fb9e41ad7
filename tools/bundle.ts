// SPDX-License-Identifier: Apache-2.0
/** Bundles each app, src/apps/NAME/main.ts, into build/NAME.js: one file starts in half the time of many. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { build, type Plugin } from 'esbuild'

const root = join(import.meta.dirname, '..')
const apps = readdirSync(join(root, 'src/apps')).filter((name) => existsSync(join(root, 'src/apps', name, 'main.ts')))

/**
 * What is imported from Node itself is loaded when a bundle starts, also what only a part of it needs that is loaded later,
 * such as a whole TLS; and an `import` of node:http asks each of its exports for its value, for some of which Node then
 * loads a client of megabytes. `require` does neither: a small program starts in half the time.
 */
const heavyByRequire: Plugin = {
  name: 'heavy-by-require',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:(http|https|http2|tls|crypto|child_process)$/ }, ({ path, namespace }) =>
      namespace === 'by-require' ? { path, external: true } : { path, namespace: 'by-require' },
    )
    onLoad({ filter: /.*/, namespace: 'by-require' }, ({ path }) => ({
      contents: `module.exports = require('${path}')`,
    }))
  },
}

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
  plugins: [heavyByRequire],
  sourcemap: 'linked',
  minifySyntax: true,
  legalComments: 'none',
  logLevel: 'warning',
}).catch(() => process.exit(1))
