import { formatDuration } from '../../core/duration.ts'
import type { JsonObject } from '../../core/json.ts'
import { suggest } from '../did-you-mean.ts'
import type { Channel, Consumer } from '../model.ts'
import { mapAt } from '../read/contract-reader.ts'
import { shown } from '../read/shape.ts'
import { fieldAt } from '../schema/schema-paths.ts'
import { compareVersions, parseRange, parseVersion, satisfies } from '../semver.ts'
import type { Check } from './check.ts'
import { checkText } from './check.ts'
import { checkAddress, suggestPath } from './check-channels.ts'

/** Names that an idempotency path may begin with: the fields of a message. */
const messageFields = ['id', 'type', 'source', 'timestamp', 'correlation_id', 'data', 'metadata']

/** One consumer entry: versions, events, needs, idempotency, retry, dead letters. */
export function checkConsumer(check: Check, consumer: Consumer): void {
  const written = mapAt(mapAt(check.value, 'consumers'), consumer.name)
  checkVersions(check, consumer)
  checkEvents(check, consumer)
  checkIdempotency(check, consumer)
  checkRetry(check, consumer, written)
  checkDeadLetter(check, consumer)
  checkText(check, consumer.deadLetter.owner, ['consumers', consumer.name, 'deadLetter', 'owner'])
}

function checkVersions({ contract, add }: Check, { name, accepts, since }: Consumer): void {
  const path = ['consumers', name]
  if (!parseRange(accepts)) {
    add('VERSION_INVALID', `${shown(accepts)} is no version range`, [...path, 'accepts'], {
      hint: 'write a range such as `^2.1.0` or `>=2 <3`',
      consumer: name,
    })
  } else if (parseVersion(contract.version) && !satisfies(contract.version, accepts)) {
    const message = `\`${name}\` accepts ${shown(accepts)}, which leaves out version ${contract.version} of this contract`
    add('RANGE_EXCLUDES_VERSION', message, [...path, 'accepts'], {
      severity: 'warning',
      hint: 'widen `accepts` once the consumer can read this version',
      consumer: name,
    })
  }
  const written = since === undefined ? undefined : parseVersion(since)
  const version = parseVersion(contract.version)
  if (written && version && compareVersions(written, version) > 0) {
    const message = `\`${name}\` was written against ${since}, which is after version ${contract.version}`
    add('VERSION_INVALID', message, [...path, 'since'], { severity: 'warning', consumer: name })
  }
}

function checkEvents(check: Check, consumer: Consumer): void {
  const { contract, targets, add } = check
  const { name } = consumer
  for (const [event, { needs, handling }] of Object.entries(consumer.events)) {
    const path = ['consumers', name, 'events', event]
    const definition = contract.events[event]
    if (!definition) {
      const hint = suggest(event, Object.keys(contract.events))
      add('EVENT_UNDEFINED', `the contract defines no event ${shown(event)}`, path, {
        at: 'key',
        consumer: name,
        ...(hint === undefined ? {} : { hint }),
      })
      continue
    }
    checkText(check, handling, [...path, 'handling'])
    if (handling === undefined) {
      add('HANDLING_MISSING', `\`${name}\` does not say what it does with \`${event}\``, path, {
        at: 'key',
        severity: 'warning',
        hint: 'add `handling:` with one sentence',
        event,
        consumer: name,
      })
    }
    if (!targets.has(event)) continue
    for (const [at, need] of needs.entries()) {
      if (fieldAt(definition.schema, need)) continue
      const hint = suggestPath(definition.schema, need)
      const message = `\`${name}\` needs ${shown(need)}, which the schema of \`${event}\` does not have`
      add('NEEDS_NOT_IN_SCHEMA', message, [...path, 'needs', at], {
        event,
        consumer: name,
        ...(hint === undefined ? {} : { hint }),
      })
    }
  }
}

function checkIdempotency({ contract, targets, add }: Check, consumer: Consumer): void {
  const { name, idempotency, deadLetter } = consumer
  if (!idempotency) return
  const path = ['consumers', name, 'idempotency']
  const { key, windowMs } = idempotency
  if (windowMs < deadLetter.retentionMs) {
    const message = `\`${name}\` remembers messages for ${formatDuration(windowMs)}, its dead letters live ${formatDuration(deadLetter.retentionMs)}`
    add('WINDOW_TOO_SHORT', message, [...path, 'window'], {
      hint: `write \`window: ${formatDuration(deadLetter.retentionMs)}\` or more`,
      consumer: name,
    })
  }
  const [field = '', ...rest] = key.split('.')
  if (!messageFields.includes(field)) {
    const hint = suggest(field, messageFields) ?? `write \`data.${key}\` for a field of the data`
    add('KEY_NOT_IN_SCHEMA', `${shown(key)} is no path into a message`, [...path, 'key'], {
      hint: fieldsHave(contract, consumer, key) ? `write \`data.${key}\`` : hint,
      consumer: name,
    })
    return
  }
  if (field !== 'data' || rest.length === 0) return
  for (const event of Object.keys(consumer.events)) {
    const schema = contract.events[event]?.schema
    if (schema === undefined || !targets.has(event) || fieldAt(schema, rest.join('.'))) continue
    const message = `the idempotency key ${shown(key)} is not in the schema of \`${event}\``
    const hint = suggestPath(schema, rest.join('.'))
    add('KEY_NOT_IN_SCHEMA', message, [...path, 'key'], {
      event,
      consumer: name,
      ...(hint === undefined ? {} : { hint }),
    })
  }
}

function fieldsHave(contract: Check['contract'], consumer: Consumer, path: string): boolean {
  return Object.keys(consumer.events).some((event) => {
    const schema = contract.events[event]?.schema
    return schema !== undefined && fieldAt(schema, path) !== undefined
  })
}

function checkRetry({ add }: Check, consumer: Consumer, written: JsonObject): void {
  const { name, retry } = consumer
  const path = ['consumers', name, 'retry']
  if (retry.capMs < retry.baseMs) {
    const message = `the longest wait of \`${name}\`, ${formatDuration(retry.capMs)}, is below its first, ${formatDuration(retry.baseMs)}`
    add(
      'RETRY_IMPOSSIBLE',
      message,
      [...path, mapAt(written, 'retry').cap === undefined ? 'base' : 'cap'],
      {
        hint: 'raise `cap`, or lower `base`',
        consumer: name,
      },
    )
  }
  if (written.retry === undefined || written.deadLetter === undefined) {
    const missing = written.retry === undefined ? 'retry' : 'deadLetter'
    add(
      'ERROR_HANDLING_MISSING',
      `\`${name}\` says nothing about \`${missing}\`, so defaults apply`,
      ['consumers', name],
      {
        at: 'key',
        severity: 'info',
        hint: `add \`${missing}:\``,
        consumer: name,
      },
    )
  }
}

/** Consumers that share a dead letter address: a replay could not tell whose letter it is. */
export function checkDeadLetterAddresses({ contract, value, add }: Check): void {
  const owners = new Map<string, string>()
  const written = mapAt(value, 'consumers')
  const isWritten = (name: string) =>
    mapAt(mapAt(written, name), 'deadLetter').address !== undefined
  for (const { name, deadLetter } of Object.values(contract.consumers)) {
    const other = owners.get(deadLetter.address)
    if (other !== undefined) {
      const message = `\`${name}\` and \`${other}\` share the dead letter address ${shown(deadLetter.address)}`
      // Where one of the two addresses is a default, the other was written and is to be changed.
      const at = isWritten(name) || !isWritten(other) ? name : other
      add('DEAD_LETTER_COLLISION', message, ['consumers', at, 'deadLetter', 'address'], {
        hint: 'give each consumer its own, so that a replay reaches only the one that failed',
      })
    }
    owners.set(deadLetter.address, name)
  }
}

/** The channels that a consumer listens on. */
function channelsOf({ contract }: Check, consumer: Consumer): Channel[] {
  const names = new Set(
    Object.keys(consumer.events).map((event) => contract.events[event]?.channel),
  )
  return Object.values(contract.channels).filter(({ name }) => names.has(name))
}

function checkDeadLetter(check: Check, consumer: Consumer): void {
  const { contract, add } = check
  const { name, deadLetter } = consumer
  const path = ['consumers', name, 'deadLetter']
  const addressPath = [...path, 'address']
  const channels = channelsOf(check, consumer)
  const taken = Object.values(contract.channels).find(
    ({ address }) => address === deadLetter.address,
  )
  if (taken) {
    const message = `the dead letters of \`${name}\` go to ${shown(deadLetter.address)}, the address of the channel \`${taken.name}\``
    add('DEAD_LETTER_COLLISION', message, addressPath, {
      hint: `write \`${taken.address}.${name}.dlq\``,
      consumer: name,
    })
  }
  const bindings = Object.assign(
    {},
    ...channels.map((channel) => channel.bindings),
  ) as Channel['bindings']
  checkAddress(check, deadLetter.address, { path: addressPath, bindings })
  if (
    deadLetter.onDead === 'block' &&
    channels.length > 0 &&
    channels.every(({ ordering }) => ordering === 'none')
  ) {
    const message = `\`${name}\` blocks behind dead letters, yet its channels keep no order`
    add('ORDER_CONTRADICTED', message, [...path, 'onDead'], {
      severity: 'warning',
      hint: 'write `onDead: next`, or `ordering: per-key` with a key',
      consumer: name,
    })
  }
}
