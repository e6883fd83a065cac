import { suggest } from '../did-you-mean.ts'
import type { Channel, CommandDefinition, EventDefinition, JsonSchema } from '../model.ts'
import { shown } from '../read/shape.ts'
import { fieldAt, fieldNames, possibleTypes } from '../schema/schema-paths.ts'
import { addressProblems, isUnusableAddress } from './address.ts'
import type { Check } from './check.ts'

/** Addresses, ordering and keys of the channels of one contract. */
export function checkChannels(check: Check): void {
  const { contract, add } = check
  const byAddress = new Map<string, Channel>()
  const messages = Map.groupBy(
    [...Object.values(contract.events), ...Object.values(contract.commands)],
    (message) => message.channel,
  )
  for (const channel of Object.values(contract.channels)) {
    const path = ['channels', channel.name]
    checkAddress(check, channel.address, { path: [...path, 'address'], bindings: channel.bindings })
    const other = byAddress.get(channel.address)
    if (other && !(other.shared && channel.shared)) {
      const message = `the channels \`${other.name}\` and \`${channel.name}\` share the address ${shown(channel.address)}`
      add('ADDRESS_SHARED', message, [...path, 'address'], {
        hint: 'give each its own address, or write `shared: true` on both',
      })
    }
    byAddress.set(channel.address, channel)
    if (channel.ordering === 'per-key' && channel.key === undefined) {
      const message = `\`${channel.name}\` is ordered per key and names no key`
      add('KEY_MISSING', message, [...path, 'ordering'], {
        hint: 'add `key:` with the path of a field, for example `orderId`',
      })
    }
    checkKey(check, channel, messages.get(channel.name) ?? [])
  }
}

/** Reports an address that a broker of the bindings refuses. */
export function checkAddress(
  { add }: Check,
  address: string,
  place: { readonly path: readonly (string | number)[]; readonly bindings: Channel['bindings'] },
): void {
  if (isUnusableAddress(address)) {
    const message = `the address ${shown(address)} begins or ends with a blank, or holds a control character`
    add('ADDRESS_ILLEGAL', message, place.path)
  }
  for (const { broker, reason } of addressProblems(address, Object.keys(place.bindings))) {
    add(
      'ADDRESS_ILLEGAL',
      `the address ${shown(address)} ${reason}, so ${broker} refuses it`,
      place.path,
      {
        hint: 'use letters, digits, `.`, `_` and `-`',
      },
    )
  }
}

/** A suggestion for a dotted path: the nearest sibling of the step that is not there. */
export function suggestPath(schema: JsonSchema, path: string): string | undefined {
  const steps = path.split('.')
  const found = steps.findIndex(
    (_, at) => fieldAt(schema, steps.slice(0, at + 1).join('.')) === undefined,
  )
  if (found === -1) return undefined
  const parent = steps.slice(0, found).join('.')
  const prefix = parent === '' ? '' : `${parent}.`
  const names = fieldNames(schema, parent).map((name) => prefix + name)
  return suggest(steps.slice(0, found + 1).join('.'), names)
}

function checkKey(
  { targets, add }: Check,
  channel: Channel,
  messages: readonly (EventDefinition | CommandDefinition)[],
): void {
  const { key, name } = channel
  if (key === undefined) return
  const path = ['channels', name, 'key']
  for (const message of messages) {
    if (!targets.has(message.name)) continue
    const field = fieldAt(message.schema, key)
    if (!field) {
      const hint = suggestPath(message.schema, key)
      add(
        'KEY_NOT_IN_SCHEMA',
        `the key ${shown(key)} is not in the schema of \`${message.name}\``,
        path,
        {
          event: message.name,
          ...(hint === undefined ? {} : { hint }),
        },
      )
      return
    }
    const types = field.schemas.flatMap(
      (schema) => possibleTypes(message.schema, schema) ?? ['string'],
    )
    if (types.length > 0 && types.every((type) => type === 'object' || type === 'array')) {
      const text = `the key ${shown(key)} is an ${types[0]} in \`${message.name}\`, expected a text or number`
      add('KEY_NOT_IN_SCHEMA', text, path, { event: message.name })
    } else if (!field.isRequired) {
      const text = `the key ${shown(key)} is optional in \`${message.name}\`, so some messages have no key`
      add('KEY_OPTIONAL', text, path, {
        severity: 'warning',
        hint: 'list it in `required`',
        event: message.name,
      })
    }
  }
}
