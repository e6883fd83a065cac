import type { Finding } from '../../core/finding.ts'
import { isJsonObject } from '../../core/json.ts'
import type { CommandDefinition, Contract, JsonSchema } from '../model.ts'
import { isUuid } from '../schema/formats.ts'
import type { SchemaError } from '../schema/schema-error.ts'
import { schemaFindings } from '../schema/schema-findings.ts'
import type { CompiledSchema } from '../schema/validator.ts'
import { compileSchema } from '../schema/validator.ts'
import { domainOf } from './message-grammar.ts'
import { messageDraft, messageSchema } from './message-schema.ts'
import type { Profile } from './profiles.ts'
import { withProfile } from './profiles.ts'
import type { View } from './views.ts'
import { viewOf } from './views.ts'

/** Judges messages of one event, command, reply or error. */
export interface EventValidator {
  /** True when envelope, ids and data are right; one compiled function over the whole message. Never throws. */
  readonly check: (message: unknown) => boolean
  /** All that is wrong, errors and warnings; pointers into the message. No error exactly when `check` is true. Never throws. */
  findings(message: unknown): Finding[]
  /** The data alone, with pointers into the data: for the envelope `none`, and before a message is built. */
  readonly data: CompiledSchema
  readonly contract: Contract
}

/** The three things that travel for one command. */
export interface CommandValidator {
  readonly request: EventValidator
  /** Absent where the command has no reply. */
  readonly reply?: EventValidator
  /** Name of the typed error → its messages. */
  readonly errors: Readonly<Record<string, EventValidator>>
}

export interface MessageValidator {
  readonly contracts: readonly Contract[]
  readonly profile: Profile
  readonly view: View
  /** Names of all events, in the order of the contracts. */
  readonly events: readonly string[]
  /** Compiled when first asked for, kept after. Undefined: no contract has this event. @throws SCHEMA_INVALID */
  forEvent(event: string): EventValidator | undefined
  /** As {@link forEvent}, for a command. @throws SCHEMA_INVALID */
  forCommand(command: string): CommandValidator | undefined
}

export interface MessageValidatorOptions {
  readonly contracts: readonly Contract[]
  /** Default `default`. */
  readonly profile?: Profile
  /** `producer` for what is sent, `reader` for what is received. A contract of policy `strict` uses its schemas as written for both. */
  readonly view: View
}

interface Spec {
  readonly contract: Contract
  readonly data: JsonSchema
  /** Absent: replies and errors, whose type is the bus's. */
  readonly type?: string
}

/** Services that the contract lets send this event or command; undefined where it names none. */
export function permittedSources(contract: Contract, event: string): readonly string[] | undefined {
  const producers = Object.values(contract.producers)
  if (producers.length === 0) return undefined
  return producers
    .filter(({ events }) => events === undefined || events.includes(event))
    .map(({ name }) => name)
}

function sourceFinding(
  spec: Spec,
  profile: Profile,
  message: Readonly<Record<string, unknown>>,
): Finding[] {
  const { source } = message
  const permitted = spec.type === undefined ? undefined : permittedSources(spec.contract, spec.type)
  if (
    permitted === undefined ||
    typeof source !== 'string' ||
    source === '' ||
    permitted.includes(source)
  )
    return []
  return [
    {
      code: 'SOURCE_NOT_PERMITTED',
      severity: profile === 'strict-ids' ? 'error' : 'warning',
      message: `${spec.type} must come from ${permitted.join(' or ') || 'nobody'}, found ${JSON.stringify(source)}`,
      pointer: '/source',
    },
  ]
}

function correlationFinding(
  spec: Spec,
  profile: Profile,
  message: Readonly<Record<string, unknown>>,
): Finding[] {
  const { correlation_id: id } = message
  const isCompat =
    profile === 'seed-compat' && spec.type !== undefined && domainOf(spec.type) === 'system'
  if (!isCompat || typeof id !== 'string' || id === '' || isUuid(id)) return []
  return [
    {
      code: 'CORRELATION_ID_COMPAT',
      severity: 'warning',
      message: `correlation_id ${JSON.stringify(id.slice(0, 60))} is no UUID; the profile seed-compat lets it pass`,
      pointer: '/correlation_id',
    },
  ]
}

/** Said by {@link sourceFinding} in words of its own. */
const isSourceError = ({ keyword, pointer }: SchemaError) =>
  pointer === '/source' && keyword === 'enum'

function createEventValidator(spec: Spec, profile: Profile, view: View): EventValidator {
  const { contract, data, type } = spec
  const isStrict = contract.evolution.policy === 'strict'
  const sources =
    profile === 'strict-ids' && type !== undefined ? permittedSources(contract, type) : undefined
  const schema = messageSchema({
    data,
    envelope: contract.envelope,
    profile,
    ...(type === undefined ? {} : { type }),
    ...(isStrict ? {} : { view }),
    ...(sources === undefined ? {} : { sources }),
  })
  const draft = messageDraft(data)
  const options = { draft, unevaluated: !isStrict && view === 'producer' }
  const whole = compileSchema(schema, options)
  let dataOnly: CompiledSchema | undefined
  return {
    contract,
    check: whole.check,
    findings(message) {
      const errors = whole.errors(message).filter((error) => !isSourceError(error))
      const findings = schemaFindings(errors, '', 'the message')
      if (!isJsonObject(message)) return findings
      return [
        ...findings,
        ...sourceFinding(spec, profile, message),
        ...correlationFinding(spec, profile, message),
      ]
    },
    get data() {
      const profiled = withProfile(data, profile)
      dataOnly ??= compileSchema(isStrict ? profiled : viewOf(profiled, view, draft), options)
      return dataOnly
    },
  }
}

const compiled = new WeakMap<Contract, Map<string, EventValidator>>()

/** Compiled once for each contract object: two buses of one process share it, and so do both views of a strict contract. */
function eventValidator(spec: Spec, profile: Profile, view: View): EventValidator {
  const { contract, type } = spec
  if (type === undefined) return createEventValidator(spec, profile, view)
  const side = contract.evolution.policy === 'strict' ? 'both' : view
  const key = `${side} ${profile} ${type}`
  const ofContract = compiled.get(contract) ?? new Map<string, EventValidator>()
  compiled.set(contract, ofContract)
  const validator = ofContract.get(key) ?? createEventValidator(spec, profile, view)
  ofContract.set(key, validator)
  return validator
}

function createCommandValidator(
  contract: Contract,
  command: CommandDefinition,
  make: (spec: Spec) => EventValidator,
): CommandValidator {
  const errors = Object.entries(command.errors).map(
    ([name, data]) => [name, make({ contract, data })] as const,
  )
  return {
    request: make({ contract, data: command.schema, type: command.name }),
    ...(command.reply === undefined ? {} : { reply: make({ contract, data: command.reply }) }),
    errors: Object.fromEntries(errors),
  }
}

/** Judges messages of these contracts, as one side sees them. Where two contracts have the same event, the first has it. */
export function createMessageValidator(options: MessageValidatorOptions): MessageValidator {
  const { contracts, profile = 'default', view } = options
  const events = new Map<string, Spec>()
  const commands = new Map<string, { contract: Contract; command: CommandDefinition }>()
  for (const contract of contracts) {
    for (const event of Object.values(contract.events)) {
      if (!events.has(event.name))
        events.set(event.name, { contract, data: event.schema, type: event.name })
    }
    for (const command of Object.values(contract.commands)) {
      if (!commands.has(command.name)) commands.set(command.name, { contract, command })
    }
  }
  const make = (spec: Spec) => eventValidator(spec, profile, view)
  const madeEvents = new Map<string, EventValidator>()
  const madeCommands = new Map<string, CommandValidator>()
  return {
    contracts,
    profile,
    view,
    events: [...events.keys()],
    forEvent(event) {
      const known = madeEvents.get(event)
      if (known !== undefined) return known
      const spec = events.get(event)
      if (spec === undefined) return undefined
      const made = make(spec)
      madeEvents.set(event, made)
      return made
    },
    forCommand(name) {
      const known = madeCommands.get(name)
      if (known !== undefined) return known
      const spec = commands.get(name)
      if (spec === undefined) return undefined
      const made = createCommandValidator(spec.contract, spec.command, make)
      madeCommands.set(name, made)
      return made
    },
  }
}
