// SPDX-License-Identifier: Apache-2.0
import type { Named } from './status.ts'

/** A kind the API serves, under one storage version. */
export interface Resource extends Named {
  /** The version it is stored under. */
  readonly version: string
  /** The versions it is served under, the preferred first. */
  readonly versions: readonly string[]
  readonly singular: string
  readonly namespaced: boolean
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  /** Has a status subresource: main writes leave status alone, status writes touch nothing else. */
  readonly status: boolean
  /** Paths of the scale subresource. */
  readonly scale?: ScalePaths
  /** Counts `metadata.generation`. */
  readonly generation: boolean
  /** Declared by a CustomResourceDefinition. */
  readonly custom: boolean
}

export interface ScalePaths {
  readonly spec: readonly string[]
  readonly status: readonly string[]
  readonly selector?: readonly string[]
}

/** The name a store and messages use: `pods`, `deployments.apps`, `ciliumnodes.cilium.io`. */
export const resourceName = (r: Named): string => (r.group ? `${r.plural}.${r.group}` : r.plural)
export const apiVersionOf = (r: { readonly group: string; readonly version: string }): string =>
  r.group ? `${r.group}/${r.version}` : r.version

type Line = readonly [kind: string, plural: string, marks?: string, shortNames?: string]

/** Marks: c cluster-scoped, s status subresource, S scale too, g counts generation, a in `kubectl get all`. */
const lines: Readonly<Record<string, readonly Line[]>> = {
  v1: [
    ['Pod', 'pods', 'sga', 'po'],
    ['Service', 'services', 'sa', 'svc'],
    ['Endpoints', 'endpoints', '', 'ep'],
    ['Namespace', 'namespaces', 'cs', 'ns'],
    ['Node', 'nodes', 'cs', 'no'],
    ['ConfigMap', 'configmaps', '', 'cm'],
    ['Secret', 'secrets'],
    ['ServiceAccount', 'serviceaccounts', '', 'sa'],
    ['Event', 'events', '', 'ev'],
    ['PersistentVolume', 'persistentvolumes', 'cs', 'pv'],
    ['PersistentVolumeClaim', 'persistentvolumeclaims', 's', 'pvc'],
    ['ReplicationController', 'replicationcontrollers', 'sSga', 'rc'],
    ['ResourceQuota', 'resourcequotas', 's', 'quota'],
    ['LimitRange', 'limitranges', '', 'limits'],
    ['PodTemplate', 'podtemplates', 'g'],
  ],
  'apps/v1': [
    ['Deployment', 'deployments', 'sSga', 'deploy'],
    ['ReplicaSet', 'replicasets', 'sSga', 'rs'],
    ['DaemonSet', 'daemonsets', 'sga', 'ds'],
    ['StatefulSet', 'statefulsets', 'sSga', 'sts'],
    ['ControllerRevision', 'controllerrevisions'],
  ],
  'batch/v1': [
    ['Job', 'jobs', 'sga'],
    ['CronJob', 'cronjobs', 'sga', 'cj'],
  ],
  'autoscaling/v2': [['HorizontalPodAutoscaler', 'horizontalpodautoscalers', 'sa', 'hpa']],
  'discovery.k8s.io/v1': [['EndpointSlice', 'endpointslices', 'g']],
  'networking.k8s.io/v1': [
    ['NetworkPolicy', 'networkpolicies', 'g', 'netpol'],
    ['Ingress', 'ingresses', 'sg', 'ing'],
    ['IngressClass', 'ingressclasses', 'cg'],
  ],
  'policy/v1': [['PodDisruptionBudget', 'poddisruptionbudgets', 'sg', 'pdb']],
  'rbac.authorization.k8s.io/v1': [
    ['Role', 'roles'],
    ['RoleBinding', 'rolebindings'],
    ['ClusterRole', 'clusterroles', 'c'],
    ['ClusterRoleBinding', 'clusterrolebindings', 'c'],
  ],
  'coordination.k8s.io/v1': [['Lease', 'leases']],
  'storage.k8s.io/v1': [
    ['StorageClass', 'storageclasses', 'c', 'sc'],
    ['CSINode', 'csinodes', 'c'],
    ['CSIDriver', 'csidrivers', 'c'],
  ],
  'scheduling.k8s.io/v1': [['PriorityClass', 'priorityclasses', 'cg', 'pc']],
  'admissionregistration.k8s.io/v1': [
    ['ValidatingWebhookConfiguration', 'validatingwebhookconfigurations', 'cg'],
    ['MutatingWebhookConfiguration', 'mutatingwebhookconfigurations', 'cg'],
    ['ValidatingAdmissionPolicy', 'validatingadmissionpolicies', 'csg'],
    ['ValidatingAdmissionPolicyBinding', 'validatingadmissionpolicybindings', 'cg'],
  ],
  'apiextensions.k8s.io/v1': [['CustomResourceDefinition', 'customresourcedefinitions', 'csg', 'crd crds']],
}

const scalePaths: ScalePaths = {
  spec: ['spec', 'replicas'],
  status: ['status', 'replicas'],
  selector: ['spec', 'selector'],
}

/** What a Kubernetes 1.34 API serves, as far as the walk-throughs, kubectl, Helm and Cilium ask for it. */
export const builtinResources: readonly Resource[] = Object.entries(lines).flatMap(([apiVersion, kinds]) => {
  const [group, version] = apiVersion.includes('/') ? (apiVersion.split('/') as [string, string]) : ['', apiVersion]
  return kinds.map(
    ([kind, plural, marks = '', short = '']): Resource => ({
      group,
      version,
      versions: [version],
      kind,
      plural,
      singular: kind.toLowerCase(),
      namespaced: !marks.includes('c'),
      shortNames: short === '' ? [] : short.split(' '),
      categories: marks.includes('a') ? ['all'] : [],
      status: marks.includes('s'),
      generation: marks.includes('g'),
      custom: false,
      ...(marks.includes('S') ? { scale: scalePaths } : {}),
    }),
  )
})
