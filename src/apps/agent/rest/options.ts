// SPDX-License-Identifier: Apache-2.0
import { RestError } from '../../../edge/sockets/rest.ts'
import { object } from '../../../model/json.ts'

/** Options in the words of Cilium's API. */
export const onOff = (on: boolean): 'Enabled' | 'Disabled' => (on ? 'Enabled' : 'Disabled')
export const isOn = (value: string): boolean => /^(enabled?|true|on|1)$/i.test(value)
const isOff = (value: string): boolean => /^(disabled?|false|off|0)$/i.test(value)

/**
 * `options` of a body, in the names as they are written in `now`. Throws for one that is not known, whose value is no
 * answer, or that would have to change and is fixed.
 */
export function changedOptions(
  body: unknown,
  now: { readonly [name: string]: string },
  free: readonly string[],
): { readonly [name: string]: string } {
  const out: { [name: string]: string } = {}
  for (const [asked, raw] of Object.entries(object(object(body)['options']))) {
    const name = Object.keys(now).find((n) => n.toLowerCase() === asked.toLowerCase())
    if (name === undefined)
      throw new RestError(400, `options.${asked}: there is no such option (there are ${Object.keys(now).join(', ')})`)
    const value = String(raw)
    if (!isOn(value) && !isOff(value))
      throw new RestError(400, `options.${name}: '${value}' is neither enable nor disable`)
    if (free.includes(name)) out[name] = value
    else if (onOff(isOn(value)) !== now[name])
      throw new RestError(400, `options.${name}: is fixed at ${now[name]}; what can be changed is ${free.join(', ')}`)
  }
  return out
}
