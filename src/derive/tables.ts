// SPDX-License-Identifier: Apache-2.0
import { sources } from '../model/rows.ts'
import {
  ipcacheRows,
  localOwners,
  nodeOwners,
  ownerRows,
  ownerShards,
  prefixOwners,
  remoteOwners,
} from './addresses/tables.ts'
import { endpointNumbers, endpoints } from './endpoints/tables.ts'
import { endpointIdentities, identityClaims, wantedIdentities } from './identity/tables.ts'
import { interfaceRows } from './interfaces/tables.ts'
import { podAddresses, pools } from './ipam/tables.ts'
import { endpointLabels } from './labels/tables.ts'
import { cidrIdentities, wantedPrefixes } from './policy/cidrs.ts'
import {
  decisions,
  policyCellRows,
  policyClassRows,
  policyNumbers,
  policyPageRows,
  policyPages,
  policyPlaces,
  policyRows,
  policyTableRows,
} from './policy/decisions.ts'
import {
  addressParts,
  namedAddresses,
  nameIdentities,
  nameSelectors,
  nameSetParts,
  wantedNameSets,
} from './policy/names.ts'
import { policyOverflows } from './policy/overflow.ts'
import {
  addressLines,
  localPlaces,
  nodePlaces,
  placeIdentities,
  placeShards,
  placesWanted,
  remotePlaces,
} from './policy/places.ts'
import {
  ciliumNetworkPolicyConditions,
  clusterNetworkPolicyConditions,
  clusterwidePolicyConditions,
  networkPolicyConditions,
  policies,
  readCiliumNetworkPolicies,
  readClusterNetworkPolicies,
  readClusterwidePolicies,
  readImportedRules,
  readNetworkPolicies,
} from './policy/policies.ts'
import { nodePrograms, peersInUse, programs, ruleNumbers, subjectPrograms } from './policy/programs.ts'
import { selections } from './policy/selections.ts'
import { nodeSubjects, subjects } from './policy/subjects.ts'
import {
  cellRows,
  dnsListeners,
  envoyClusters,
  envoyListeners,
  proxyPairRows,
  proxyPorts,
  wantedListeners,
} from './proxy/tables.ts'
import { endpointRoutes, nodeRoutes } from './routing/tables.ts'
import { frontends, hostPortFrontends, wantedFrontends } from './services/frontends.ts'
import { healthChecks } from './services/health.ts'
import { backendNumbers, serviceNumbers, slotRuns } from './services/numbers.ts'
import { backendRows, serviceRows, slotRows, sourceRangeRows } from './services/tables.ts'
import { ciliumEndpointObjects, endpointStatus } from './status/tables.ts'

/** All tables of an agent: `openDatabase(tables)`. The graph is drawn in README.md. */
export const tables = [
  ...sources,
  ...[endpointLabels, wantedIdentities, identityClaims, endpointIdentities],
  ...[pools, podAddresses, endpointNumbers, endpoints],
  ...[
    readNetworkPolicies,
    readCiliumNetworkPolicies,
    readClusterwidePolicies,
    readClusterNetworkPolicies,
    readImportedRules,
    policies,
  ],
  ...[networkPolicyConditions, ciliumNetworkPolicyConditions],
  ...[clusterwidePolicyConditions, clusterNetworkPolicyConditions],
  ...[
    nodeSubjects,
    subjects,
    subjectPrograms,
    nodePrograms,
    programs,
    peersInUse,
    ruleNumbers,
    wantedPrefixes,
    cidrIdentities,
  ],
  ...[nameSelectors, addressParts, namedAddresses, nameSetParts, wantedNameSets, nameIdentities],
  selections,
  ...[addressLines, localPlaces, remotePlaces, nodePlaces, placeShards, placesWanted, placeIdentities],
  ...[decisions, policyPlaces, policyTableRows, policyPages, policyPageRows, policyCellRows, policyClassRows],
  ...[policyNumbers, policyRows, policyOverflows],
  ...[wantedListeners, proxyPorts, cellRows, proxyPairRows, envoyClusters, envoyListeners, dnsListeners],
  ...[localOwners, nodeOwners, remoteOwners, ownerShards, ownerRows, prefixOwners, ipcacheRows, interfaceRows],
  ...[endpointRoutes, nodeRoutes],
  ...[
    wantedFrontends,
    hostPortFrontends,
    frontends,
    serviceNumbers,
    backendNumbers,
    slotRuns,
    backendRows,
    slotRows,
    sourceRangeRows,
    serviceRows,
    healthChecks,
  ],
  ...[endpointStatus, ciliumEndpointObjects],
]
