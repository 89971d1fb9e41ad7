// SPDX-License-Identifier: Apache-2.0
import { reviews } from '../../../protocol/kubeapi/discovery.ts'
import { StatusError } from '../../../protocol/kubeapi/status.ts'
import type { Access } from './access.ts'
import { type Call, readObject, sendJson, type User } from './message.ts'
import type { Route } from './route.ts'

/** Answers who a token or the caller is, and that they may do all they ask. */
export async function answerReview(access: Access, call: Call, route: Route): Promise<void> {
  const review = reviews.find(([group, , plural]) => group === route.group && plural === route.plural)
  if (!review || call.method !== 'POST')
    throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
  const [group, kind] = review
  const body = (await readObject(call.incoming)) ?? {}
  const head = { kind, apiVersion: `${group}/v1`, metadata: { creationTimestamp: null }, spec: body['spec'] ?? {} }
  sendJson(call, 201, JSON.stringify({ ...head, status: statusOf(kind, body, access, call.user) }))
}

function statusOf(kind: string, body: Record<string, unknown>, access: Access, caller: User): object {
  switch (kind) {
    case 'TokenReview': {
      const token = (body['spec'] as { token?: string } | undefined)?.token ?? ''
      const user = access.tokenUser(token)
      return user ? { authenticated: true, user } : { authenticated: false, error: 'the token is not known' }
    }
    case 'SelfSubjectReview':
      return { userInfo: caller }
    case 'SelfSubjectRulesReview':
      return {
        incomplete: false,
        resourceRules: [{ verbs: ['*'], apiGroups: ['*'], resources: ['*'] }],
        nonResourceRules: [{ verbs: ['*'], nonResourceURLs: ['*'] }],
      }
    default:
      return { allowed: true, reason: 'the lab allows all who are known to it' }
  }
}
