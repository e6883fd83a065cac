import { suggest } from '../did-you-mean.ts'
import type { CommandDefinition, EventDefinition } from '../model.ts'
import { shown } from '../read/shape.ts'
import { possibleTypes, undeclaredRequired } from '../schema/schema-paths.ts'
import { compareVersions, parseVersion } from '../semver.ts'
import type { Check } from './check.ts'
import { checkText } from './check.ts'

/** Envelopes whose data field must hold an object. */
const objectEnvelopes: ReadonlySet<string> = new Set(['treaty', 'integration'])

/** Events and commands of one contract: channel, purpose, schema, examples, deprecation. */
export function checkMessages(check: Check): void {
  const { contract, add } = check
  for (const event of Object.values(contract.events)) checkMessage(check, event, 'events')
  checkExamples(check)
  for (const command of Object.values(contract.commands)) {
    checkMessage(check, command, 'commands')
    const path = ['commands', command.name]
    if (contract.events[command.name]) {
      const message = `\`${command.name}\` is both an event and a command`
      add('EVENT_AMBIGUOUS', message, path, { at: 'key', hint: 'rename one of the two' })
    }
    if (command.timeoutMs === 0) {
      add(
        'CONTRACT_VALUE_WRONG',
        `the timeout of \`${command.name}\` is zero`,
        [...path, 'timeout'],
        {
          hint: 'give the handler some time, for example `5s`',
        },
      )
    }
    if (command.reply === undefined && contract.pattern.style === 'request-reply') {
      const message = `\`${command.name}\` has no reply, though the pattern is request-reply`
      add('REPLY_MISSING', message, path, { at: 'key', severity: 'warning', hint: 'add `reply:`' })
    }
  }
}

/** Beyond this many, messages without examples are reported together. */
const namedMax = 3

function checkExamples({ contract, add }: Check): void {
  for (const kind of ['events', 'commands'] as const) {
    const all = Object.values(contract[kind])
    const bare = all.filter(({ examples }) => examples.length === 0)
    const options = {
      at: 'key',
      severity: 'info',
      hint: 'add `examples:` with a file, a glob or a list',
    } as const
    if (bare.length > namedMax) {
      const message = `${bare.length} of ${all.length} ${kind} have no examples, \`${bare[0]?.name}\` among them`
      add('EXAMPLES_MISSING', message, [kind], options)
      continue
    }
    for (const { name } of bare) {
      add('EXAMPLES_MISSING', `\`${name}\` has no examples`, [kind, name], options)
    }
  }
}

function checkMessage(
  check: Check,
  message: EventDefinition | CommandDefinition,
  kind: 'events' | 'commands',
): void {
  const { contract, targets, add } = check
  const { name, channel, schema } = message
  const path = [kind, name]
  if (message.purpose !== '' || kind === 'events')
    checkText(check, message.purpose, [...path, 'purpose'])
  if (channel !== '' && !contract.channels[channel]) {
    const hint = suggest(channel, Object.keys(contract.channels))
    const text = `\`${name}\` is on the channel ${shown(channel)}, which the contract does not have`
    add('CHANNEL_UNKNOWN', text, [...path, 'channel'], {
      event: name,
      ...(hint === undefined ? {} : { hint }),
    })
  }
  if (targets.has(name)) {
    const types = possibleTypes(schema, schema)
    if (types && !types.includes('object') && objectEnvelopes.has(contract.envelope)) {
      const text = `the data of \`${name}\` must be an object, its schema admits ${types.join(' or ')}`
      add('SCHEMA_ROOT', text, [...path, 'schema'], {
        hint: 'wrap the value into an object',
        event: name,
      })
    }
    for (const field of undeclaredRequired(schema)) {
      const text = `the schema of \`${name}\` requires ${shown(field)} and does not declare it`
      add('REQUIRED_UNDECLARED', text, [...path, 'schema'], {
        severity: 'warning',
        hint: 'declare it in `properties`, or correct its name',
        event: name,
      })
    }
  }
  checkDeprecation(check, message, path)
}

function checkDeprecation(
  { contract, add }: Check,
  { name, deprecated }: EventDefinition | CommandDefinition,
  path: readonly string[],
): void {
  if (!deprecated) return
  const since = parseVersion(deprecated.since)
  const version = parseVersion(contract.version)
  if (since && version && compareVersions(since, version) > 0) {
    const text = `\`${name}\` is deprecated since ${deprecated.since}, which is after ${contract.version}`
    add('VERSION_INVALID', text, [...path, 'deprecated', 'since'], {
      severity: 'warning',
      event: name,
    })
  }
  const { use } = deprecated
  const names = [...Object.keys(contract.events), ...Object.keys(contract.commands)]
  if (use === undefined || (names.includes(use) && use !== name)) return
  const hint = suggest(
    use,
    names.filter((other) => other !== name),
  )
  add(
    'EVENT_UNDEFINED',
    `\`${name}\` is to be replaced by ${shown(use)}, which this contract does not define`,
    [...path, 'deprecated', 'use'],
    {
      severity: 'warning',
      event: name,
      ...(hint === undefined ? {} : { hint }),
    },
  )
}
