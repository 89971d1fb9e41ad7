// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto'
import { endpoints } from '../../../derive/endpoints/tables.ts'
import { cidrIdentities } from '../../../derive/policy/cidrs.ts'
import { nameIdentities } from '../../../derive/policy/names.ts'
import { RestError, type Route } from '../../../edge/sockets/rest.ts'
import { type Identity, reservedIdentities } from '../../../model/identity.ts'
import { labelSetKey } from '../../../model/labels.ts'
import { ciliumIdentities } from '../../../model/rows.ts'
import type { Parts } from './parts.ts'

export function identityRoutes({ db }: Parts): readonly Route[] {
  const all = (): readonly Identity[] => [
    ...reservedIdentities,
    ...db.all(ciliumIdentities),
    ...db.all(cidrIdentities),
    ...db.all(nameIdentities),
  ]
  return [
    {
      method: 'GET',
      path: '/v1/identity',
      handle: ({ query }) => {
        const labels = query.getAll('labels').flatMap((l) => l.split(','))
        return {
          body: all()
            .filter((i) => labels.every((l) => i.labels.includes(l)))
            .map(model),
        }
      },
    },
    {
      method: 'GET',
      path: '/v1/identity/endpoints',
      handle: () => {
        const counts = new Map<number, number>()
        for (const e of db.all(endpoints)) counts.set(e.identity, (counts.get(e.identity) ?? 0) + 1)
        const known = all().filter((i) => counts.has(i.number))
        return { body: known.map((i) => ({ identity: model(i), refCount: counts.get(i.number) })) }
      },
    },
    {
      method: 'GET',
      path: '/v1/identity/{id}',
      handle: ({ params }) => {
        const id = params['id'] ?? ''
        if (!/^[0-9]+$/.test(id)) throw new RestError(400, `${id} is not an identity number`)
        const found = all().find((i) => i.number === Number(id))
        if (!found) throw new RestError(404, `identity ${id} not found`)
        return { body: model(found) }
      },
    },
  ]
}

const model = (i: Identity): object => ({
  id: i.number,
  labels: i.labels,
  labelsSHA256: createHash('sha256').update(labelSetKey(i.labels)).digest('hex'),
})
