// SPDX-License-Identifier: Apache-2.0
import type { Problem } from '../../base/result.ts'
import type { PortSpace } from '../../model/datapath.ts'
import type { PolicyKind } from '../../model/policy.ts'
import type { Layer7 } from '../../model/proxy.ts'

export type Direction = 'ingress' | 'egress'
export const directions: readonly Direction[] = ['ingress', 'egress']

/** One condition on labels; `source` 'any' matches labels of every source. */
export interface Requirement {
  readonly source: string
  readonly key: string
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
  readonly values: readonly string[]
}

/** Who is meant; `selections.ts` finds the identities. */
export type Peer =
  | { readonly kind: 'labels'; readonly requirements: readonly Requirement[] }
  /** A `block` means addresses, whoever has them; otherwise `policy-cidr-match-mode` says if it is only the world. */
  | { readonly kind: 'cidr'; readonly cidr: string; readonly except: readonly string[]; readonly block?: true }
  /** Prefixes of CiliumCIDRGroups, by name or by their labels. */
  | {
      readonly kind: 'group'
      readonly name: string
      readonly requirements: readonly Requirement[]
      readonly except: readonly string[]
    }
  /** Addresses of nodes, by the nodes' labels; `gated` needs `enable-node-selector-labels`. */
  | { readonly kind: 'nodes'; readonly requirements: readonly Requirement[]; readonly gated: boolean }
  /** What stands behind services: of one name, or of all that have the labels. '' is every namespace. */
  | {
      readonly kind: 'service'
      readonly namespace: string
      readonly name: string
      readonly requirements: readonly Requirement[]
    }

/** Ports first to last of one space; for ICMP `type << 8 | code`. */
export interface PortRange {
  readonly space: PortSpace
  readonly first: number
  readonly last: number
}

/** A port by the name a container gives it: the subject's own on ingress, the peer's on egress. */
export interface PortName {
  readonly name: string
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ANY'
}

export type Port = PortRange | PortName

/** Tiers in the order in which they decide. */
export const tiers = { admin: 0, normal: 1, baseline: 2 } as const
export type Tier = keyof typeof tiers

/**
 * How a policy is in effect, by the annotation `cilium-ts.io/policy-mode`. `audit`: what it would drop passes and is
 * reported; `staged`: it decides nothing, and events tell what it would have decided.
 */
export type PolicyMode = 'enforce' | 'audit' | 'staged'

/**
 * One element of a policy's list of rules. `pass` leaves the decision to the next tier; `redirect` allows through a
 * proxy; `closed` is what a rule asks for that is not enforced yet: where no other rule allows, it drops, and says so
 * under its own name.
 */
export interface Rule {
  /** `kind/namespace/name#path`. */
  readonly key: string
  readonly policy: string
  /** Field path in the object: `spec.ingress[0]`. */
  readonly path: string
  readonly direction: Direction
  readonly action: 'allow' | 'deny' | 'pass' | 'redirect' | 'closed'
  /** 'all' is everybody, known or not; an empty list is nobody. */
  readonly peers: 'all' | readonly Peer[]
  /** 'all' includes protocols without ports. */
  readonly ports: 'all' | readonly Port[]
  /** Its peers come from fromEndpoints / toEndpoints: what fromRequires / toRequires ask narrows them. */
  readonly narrowed?: true
  /** With `redirect`: what requests are asked for. */
  readonly layer7?: Layer7
}

/** What fromRequires / toRequires ask of the peers of all rules about the same subject. */
export interface Demand {
  readonly direction: Direction
  readonly action: 'allow' | 'deny'
  readonly requirements: readonly Requirement[]
}

/** One `spec`: whom it is about, and what it says. */
export interface PolicySpec {
  /** `kind/namespace/name#spec` or `…#specs[1]`. */
  readonly key: string
  readonly subject: readonly Requirement[]
  /** `subject` speaks of a node's labels and not of pods. */
  readonly ofNodes?: true
  readonly tier: Tier
  /** Lower decides first; of equal ones of the tiers admin and baseline the first by name. */
  readonly priority: number
  readonly demands?: readonly Demand[]
  /** Directions in which whoever is selected may do only what is allowed. */
  readonly enforce: { readonly ingress: boolean; readonly egress: boolean }
  readonly rules: readonly Rule[]
}

/** What a policy object says, once read. */
export interface Policy {
  readonly key: string
  readonly kind: PolicyKind
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly generation: number
  readonly mode: PolicyMode
  readonly specs: readonly PolicySpec[]
  /** The object is not valid: nothing of this version takes effect. */
  readonly problems: readonly Problem[]
  /** Valid, and in effect as written, but probably not as meant; or a part that is not enforced yet and stays closed. */
  readonly warnings: readonly Problem[]
}

export const isPortRange = (p: Port): p is PortRange => 'space' in p
