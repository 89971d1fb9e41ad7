// SPDX-License-Identifier: Apache-2.0
import { ciliumClusterwideNetworkPolicies, ciliumNetworkPolicies, networkPolicies } from '../../model/rows.ts'

/** The three tables of policy objects. */
export const policyObjects = [networkPolicies, ciliumNetworkPolicies, ciliumClusterwideNetworkPolicies] as const
