import type { Finding } from '../../core/finding.ts'
import { hasErrors } from '../../core/finding.ts'
import { isJsonObject } from '../../core/json.ts'
import { limits } from '../../core/limits.ts'
import { suggest } from '../did-you-mean.ts'
import type { Contract } from '../model.ts'
import type { PackName } from '../pack.ts'
import { loadPack } from '../pack.ts'
import { schemaFindings } from '../schema/schema-findings.ts'
import { compileSchema } from '../schema/validator.ts'
import type { BatchItem } from './batch.ts'
import { batchFindings } from './batch.ts'
import { batchType, domainOf, isMessageType } from './message-grammar.ts'
import { messageSchema } from './message-schema.ts'
import type { MessageValidator } from './message-validator.ts'
import { createMessageValidator } from './message-validator.ts'
import type { Profile } from './profiles.ts'
import type { View } from './views.ts'

export interface ValidateMessageOptions {
  /** The contracts to judge by; this or `pack`. */
  readonly contracts?: readonly Contract[]
  /** Name of a pack that is shipped with Treaty. */
  readonly pack?: PackName
  /** Default `default`. */
  readonly profile?: Profile
  /** Default `reader`: what a consumer would accept. */
  readonly view?: View
  /** Deepest nesting of a message. Default 128. */
  readonly depthMax?: number
}

export interface MessageVerdict {
  /** True when no finding is an error. */
  readonly ok: boolean
  readonly findings: readonly Finding[]
  /** The verdict on each inner message of a batch, in order. */
  readonly items?: readonly BatchItem[]
}

/** True when the value nests more than `depthMax` levels, or contains itself. */
export function isTooDeep(value: unknown, depthMax: number): boolean {
  let level: object[] = typeof value === 'object' && value !== null ? [value] : []
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth >= depthMax) return true
    const next = new Set<object>()
    for (const node of level) {
      for (const child of Object.values(node)) {
        if (typeof child === 'object' && child !== null) next.add(child)
      }
    }
    level = [...next]
  }
  return false
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return value === null ? 'null' : 'nothing'
  return Array.isArray(value) ? 'an array' : `a ${typeof value}`
}

function typeFindings(type: unknown, validator: MessageValidator): Finding[] {
  const finding = (code: string, message: string, hint: string | undefined): Finding[] => [
    {
      code,
      severity: 'error',
      message,
      pointer: type === undefined ? '' : '/type',
      ...(hint === undefined ? {} : { hint }),
    },
  ]
  if (typeof type !== 'string' || type === '') {
    const found = type === undefined ? 'nothing' : kindOf(type)
    return finding(
      'MESSAGE_TYPE_MISSING',
      `a message needs a type, found ${found}`,
      'Set type to the name of an event.',
    )
  }
  const shown = JSON.stringify(type.slice(0, 100))
  if (!isMessageType(type)) {
    return finding(
      'MESSAGE_TYPE_INVALID',
      `${shown} is not written as domain.action in lower case`,
      suggest(type, validator.events),
    )
  }
  const domains = new Set(validator.events.map(domainOf))
  if (!domains.has(domainOf(type))) {
    return finding(
      'UNKNOWN_DOMAIN',
      `no contract has events of the domain of ${shown}`,
      suggest(domainOf(type), domains),
    )
  }
  return finding(
    'UNKNOWN_EVENT',
    `no contract has the event ${shown}`,
    suggest(type, validator.events),
  )
}

const anyMessage = messageSchema({ data: true, envelope: 'treaty', profile: 'default' })

/** What is wrong with a message whose type says nothing: its type, and the rest of the envelope. */
function envelopeFindings(
  message: Readonly<Record<string, unknown>>,
  validator: MessageValidator,
): Finding[] {
  const rest = schemaFindings(compileSchema(anyMessage).errors(message), '', 'the message')
  const isAboutType = (finding: Finding) =>
    finding.pointer === '/type' || finding.message.includes('field "type"')
  return [
    ...typeFindings(message.type, validator),
    ...rest.filter((finding) => !isAboutType(finding)),
  ]
}

/** The verdict on anything at all, by a validator that is already there. Never throws on content. */
export function judgeMessage(
  message: unknown,
  validator: MessageValidator,
  depthMax: number = limits.depthMax,
): MessageVerdict {
  const verdict = (findings: readonly Finding[]): MessageVerdict => ({
    ok: !hasErrors(findings),
    findings,
  })
  if (!isJsonObject(message)) {
    return verdict([
      {
        code: 'MESSAGE_NOT_OBJECT',
        severity: 'error',
        message: `a message is an object, found ${kindOf(message)}`,
        pointer: '',
      },
    ])
  }
  if (isTooDeep(message, depthMax)) {
    return verdict([
      {
        code: 'MESSAGE_TOO_DEEP',
        severity: 'error',
        message: `the message nests more than ${depthMax} levels deep`,
        pointer: '',
      },
    ])
  }
  if (message.type === batchType) {
    const { findings, items } = batchFindings(message, (inner) =>
      judgeMessage(inner, validator, depthMax),
    )
    return { ...verdict(findings), items }
  }
  const { type } = message
  const known =
    typeof type === 'string'
      ? (validator.forEvent(type) ?? validator.forCommand(type)?.request)
      : undefined
  return verdict(
    known === undefined ? envelopeFindings(message, validator) : known.findings(message),
  )
}

const validators = new WeakMap<readonly Contract[], Map<string, MessageValidator>>()

function validatorFor(
  contracts: readonly Contract[],
  profile: Profile,
  view: View,
): MessageValidator {
  const made = validators.get(contracts) ?? new Map<string, MessageValidator>()
  validators.set(contracts, made)
  const key = `${profile} ${view}`
  const validator = made.get(key) ?? createMessageValidator({ contracts, profile, view })
  made.set(key, validator)
  return validator
}

/**
 * Judges a message in the canonical envelope: its shape, its ids under the profile, its data as the contract says, and
 * whether its source may send it. All findings, with pointers into the message; a batch is judged message by message.
 * Never throws on content; compiled schemas are kept for the array of contracts that was given.
 *
 * @throws PACK_NOT_FOUND, or SCHEMA_INVALID when a contract's schema cannot be compiled
 */
export function validateMessage(message: unknown, options: ValidateMessageOptions): MessageVerdict {
  const { profile = 'default', view = 'reader', depthMax = limits.depthMax } = options
  const contracts = options.contracts ?? (options.pack === undefined ? [] : loadPack(options.pack))
  return judgeMessage(message, validatorFor(contracts, profile, view), depthMax)
}
