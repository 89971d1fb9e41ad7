// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize, resolve } from 'node:path'

/** The checkout. */
export const root = resolve(import.meta.dirname, '../..')

const generatedOrForeign = new Set(['node_modules', 'build', '.git', '.cache', 'testdata'])

/** All files below a folder of the checkout, as paths from its top, in order; none if the folder is not there. */
export function filesBelow(folder: string): readonly string[] {
  const found: string[] = []
  const walk = (path: string): void => {
    for (const entry of entriesOf(path)) {
      const child = join(path, entry.name)
      if (entry.isDirectory() && !generatedOrForeign.has(entry.name)) walk(child)
      else if (entry.isFile()) found.push(child)
    }
  }
  walk(folder)
  return found.sort()
}

/** Folders directly below one. */
export const foldersIn = (folder: string): readonly string[] =>
  entriesOf(folder)
    .filter((entry) => entry.isDirectory() && !generatedOrForeign.has(entry.name))
    .map((entry) => join(folder, entry.name))
    .sort()

/** Files directly in a folder. */
export const filesIn = (folder: string): readonly string[] =>
  entriesOf(folder)
    .filter((entry) => entry.isFile())
    .map((entry) => join(folder, entry.name))
    .sort()

const entriesOf = (path: string) => {
  try {
    return readdirSync(join(root, path), { withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

export const contentOf = (path: string): string => readFileSync(join(root, path), 'utf8')

/** What a module imports: packages by name, other modules as paths from the top of the checkout. */
export const importsOf = (path: string): readonly string[] => importsIn(path, contentOf(path))

const importsIn = (path: string, text: string): readonly string[] =>
  specifiersIn(text).map((specifier) =>
    specifier.startsWith('.') ? normalize(join(dirname(path), specifier)) : specifier,
  )

const fromClause = /^\s*(?:import|export)\s[^'"`;=()]*?\sfrom\s+['"]([^'"]+)['"]/gm
const bareImport = /^\s*import\s+['"]([^'"]+)['"]/gm
const callImport = /\b(?:import|require)\(\s*['"]([^'"]+)['"]/g

export const specifiersIn = (text: string): readonly string[] =>
  [fromClause, bareImport, callImport].flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => match[1] as string),
  )

/** The text without comments and string contents, for rules about what code does; line numbers stay. */
export const codeOf = (path: string): string =>
  contentOf(path).replace(/\/\*[\s\S]*?\*\/|\/\/[^\n]*|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"/g, (matched) =>
    matched.replace(/[^\n]/g, ' '),
  )

/** `path:line: the line` for each place where the pattern occurs in the text. */
export function places(path: string, text: string, pattern: RegExp): readonly string[] {
  const lines = text.split('\n')
  return lines.flatMap((line, i) => (pattern.test(line) ? [`${path}:${i + 1}: ${line.trim()}`] : []))
}
