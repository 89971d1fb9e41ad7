// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** A lab as asked for. */
export interface LabSettings {
  readonly name: string
  readonly nodes: number
  readonly ipv6Only: boolean
  readonly nativeRouting: boolean
  /** Repository to program, beside the table of images. */
  readonly images: Readonly<Record<string, string>>
  /** Further keys of the ConfigMap cilium-config. */
  readonly config: Readonly<Record<string, string>>
  /** Without agent, operator and DNS: nodes stay NotReady, for tests of the lab itself and for other networks. */
  readonly bare: boolean
}

/** The project's checkout: the directory above this file (or its bundle) that has a package.json. */
export const projectRoot = (): string => {
  for (let at = import.meta.dirname; ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return at
    if (at === '/') throw new Error('cilium-lab: the project is not found above its own program')
  }
}

/** A complaint to a person at a terminal: what is wrong and what to do. Printed without a stack. */
export class Complaint extends Error {}

const nameShape = /^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/

/** Checks what was typed; throws a Complaint. */
export const readSettings = (typed: {
  readonly name: string
  readonly nodes: string
  readonly ipv6Only?: boolean
  readonly nativeRouting?: boolean
  readonly image?: readonly string[]
  readonly set?: readonly string[]
  readonly bare?: boolean
}): LabSettings => {
  const nodes = Number(typed.nodes)
  if (!Number.isInteger(nodes) || nodes < 1 || nodes > 20)
    throw new Complaint(`--nodes ${typed.nodes}: a number from 1 to 20 is needed`)
  return {
    name: checkName(typed.name),
    nodes,
    ipv6Only: typed.ipv6Only ?? false,
    nativeRouting: typed.nativeRouting ?? false,
    images: pairs('--image', typed.image ?? [], 'NAME=PROGRAM'),
    config: pairs('--set', typed.set ?? [], 'KEY=VALUE'),
    bare: typed.bare ?? false,
  }
}

/** A lab's name is part of names of links, so it is short. */
export const checkName = (name: string): string => {
  if (!nameShape.test(name)) throw new Complaint(`--name ${name}: up to ten of a-z, 0-9 and -, beginning with a letter`)
  return name
}

const pairs = (option: string, given: readonly string[], shape: string): Readonly<Record<string, string>> =>
  Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=')
      if (at < 1) throw new Complaint(`${option} ${text}: ${shape} is needed`)
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
