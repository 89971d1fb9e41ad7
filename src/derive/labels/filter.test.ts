// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { labelFilter } from './filter.ts'
import { identityLabels } from './tables.ts'

test('by default everything counts but what orchestration puts on each pod', () => {
  const counts = labelFilter([])
  for (const label of [
    'k8s:app=web',
    'k8s:org=empire',
    'k8s:app.kubernetes.io/name=x',
    'k8s:io.kubernetes.pod.namespace=default',
    'k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name=default',
    'k8s:io.cilium.k8s.policy.serviceaccount=sa',
    'reserved:host',
  ])
    assert.ok(counts(label), label)
  for (const label of [
    'k8s:pod-template-hash=1',
    'k8s:controller-revision-hash=1',
    'k8s:statefulset.kubernetes.io/pod-name=x-0',
    'k8s:batch.kubernetes.io/controller-uid=1',
    'k8s:kubernetes.io/arch=amd64',
    'k8s:io.kubernetes.other=1',
    'k8s:annotation.x=1',
  ])
    assert.ok(!counts(label), label)
})

test('once the user includes a label only included ones count; an exclusion takes away', () => {
  const only = labelFilter(['k8s:app'])
  assert.ok(only('k8s:app=web') && only('k8s:io.kubernetes.pod.namespace=x') && !only('k8s:org=empire'))
  const less = labelFilter(['!org'])
  assert.ok(less('k8s:app=web') && !less('k8s:org=empire'))
  assert.ok(labelFilter(['('])('k8s:app=web'), 'a pattern that is no regular expression changes nothing')
})

test('where a pod is and who runs it are never its own words', () => {
  const labels = identityLabels(
    {
      namespace: 'default',
      serviceAccount: 'sa',
      labels: { app: 'x', 'io.kubernetes.pod.namespace': 'kube-system', 'io.cilium.k8s.policy.serviceaccount': 'root' },
    },
    { name: 'default', labels: { team: 'a' } },
    { clusterName: 'c', labels: [] },
  )
  assert.deepEqual(labels, [
    'k8s:app=x',
    'k8s:io.cilium.k8s.namespace.labels.team=a',
    'k8s:io.cilium.k8s.policy.cluster=c',
    'k8s:io.cilium.k8s.policy.serviceaccount=sa',
    'k8s:io.kubernetes.pod.namespace=default',
  ])
})
