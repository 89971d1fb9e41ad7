// SPDX-License-Identifier: Apache-2.0
import {
  ciliumClusterwideNetworkPolicies,
  ciliumNetworkPolicies,
  clusterNetworkPolicies,
  importedRules,
  networkPolicies,
} from '../../model/rows.ts'

/** The tables of policy objects. */
export const policyObjects = [
  networkPolicies,
  ciliumNetworkPolicies,
  ciliumClusterwideNetworkPolicies,
  clusterNetworkPolicies,
  importedRules,
] as const
