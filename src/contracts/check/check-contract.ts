import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { JsonObject } from '../../core/json.ts'
import { suggest } from '../did-you-mean.ts'
import { contractDigest } from '../evolve/digest.ts'
import type { ReadContext } from '../read/contract-reader.ts'
import { mapAt } from '../read/contract-reader.ts'
import type { ReadResult } from '../read/read-contract.ts'
import { shown } from '../read/shape.ts'
import { parseRange } from '../semver.ts'
import type { Path } from '../source/source.ts'
import type { Check } from './check.ts'
import { checkText } from './check.ts'
import { checkChannels } from './check-channels.ts'
import { checkConsumer, checkDeadLetterAddresses } from './check-consumer.ts'
import { checkMessages } from './check-messages.ts'

/**
 * The rules that concern one contract alone: texts, names, paths, dead letters, retries, versions, promises.
 * Reports all findings; costs grow linearly with the size of the contract and its schemas.
 */
export function checkContract(read: ReadResult, value: JsonObject, context: ReadContext): void {
  const { report, base } = context
  const check: Check = {
    contract: read.contract,
    targets: read.targets,
    value,
    report,
    add(code, message, path, options) {
      if (!report.isBroken(path)) report.add(code, message, path, options)
    },
  }
  checkTexts(check)
  checkInputs(check)
  checkDesign(check, base.directory, base.jail)
  checkPattern(check)
  checkPromises(check)
  checkChannels(check)
  checkMessages(check)
  for (const consumer of Object.values(read.contract.consumers)) checkConsumer(check, consumer)
  checkDeadLetterAddresses(check)
  checkProducers(check)
  checkUpcasts(check)
  checkDates(check)
}

function checkTexts(check: Check): void {
  const { contract } = check
  if (check.value.purpose !== undefined) checkText(check, contract.purpose, ['purpose'])
  checkText(check, contract.owner?.team, ['owner', 'team'])
  checkText(check, contract.owner?.contact, ['owner', 'contact'])
  checkText(check, contract.sla.mechanism, ['sla', 'mechanism'])
  for (const [at, waiver] of contract.gate.waivers.entries()) {
    checkText(check, waiver.reason, ['gate', 'waivers', at, 'reason'])
  }
}

/** The inputs that seed 000 requires: producers and consumers; a draft may still lack them. */
function checkInputs({ contract, value, add }: Check): void {
  const severity = contract.status === 'draft' ? 'warning' : 'error'
  const isAnswered = Object.keys(contract.commands).length > 0
  if (Object.keys(contract.events).length === 0 && !isAnswered) {
    add('CONTRACT_KEY_MISSING', 'the contract has neither events nor commands', ['events'], {
      severity,
      hint: 'add `events:` with at least one event, or `commands:`',
    })
  }
  for (const key of ['producers', 'consumers'] as const) {
    if (Object.keys(contract[key]).length > 0 || (key === 'consumers' && isAnswered)) continue
    if (value[key] !== undefined && Object.keys(mapAt(value, key)).length > 0) continue
    add('CONTRACT_KEY_MISSING', `the contract names no ${key}`, [key], {
      severity,
      hint: `add \`${key}:\` with at least one name`,
    })
  }
  if (!contract.owner && value.owner === undefined) {
    add('OWNER_MISSING', 'nobody answers for this contract', ['owner'], {
      severity: 'warning',
      hint: 'add `owner: { team: …, contact: … }`',
    })
  }
}

function checkDesign({ contract, add }: Check, directory: string, root: string): void {
  const { design } = contract
  if (design === undefined) {
    const options = { severity: 'warning', hint: 'add `design:` with a path or URL' } as const
    add('DESIGN_UNRESOLVED', 'the contract names no design document', ['design'], options)
    return
  }
  if (/^[a-z][a-z0-9+.-]+:\/\//i.test(design)) return
  const path = design.replace(/#.*$/, '')
  if (existsSync(resolve(directory, path)) || existsSync(resolve(root, path))) return
  add('DESIGN_UNRESOLVED', `the design document ${shown(design)} is not there`, ['design'], {
    severity: 'warning',
    hint: 'correct the path, or give a URL',
  })
}

function checkPattern({ contract, value, add }: Check): void {
  const { style, timing, initiative } = contract.pattern
  const path = typeof value.pattern === 'string' ? ['pattern'] : ['pattern', 'timing']
  if (
    timing === 'sync' &&
    (style === 'pub-sub' || style === 'fire-and-forget' || style === 'stream')
  ) {
    add(
      'PATTERN_IMPOSSIBLE',
      `\`${style}\` cannot be synchronous: nobody waits for an answer`,
      path,
      {
        hint: 'write `timing: async`, or choose `request-reply`',
      },
    )
  }
  if (initiative === 'pull' && style === 'fire-and-forget') {
    const message = '`fire-and-forget` cannot be pulled: the sender acts on its own'
    add('PATTERN_IMPOSSIBLE', message, ['pattern', 'initiative'], {
      hint: 'write `initiative: push`',
    })
  }
}

function checkPromises({ contract, value, add }: Check): void {
  const { delivery, mechanism, latency, availability } = contract.sla
  if (delivery === 'effect-once' && mechanism === undefined) {
    add('MECHANISM_MISSING', 'effect-once does not say how it comes about', ['sla', 'delivery'], {
      hint: 'add `mechanism:`, for example `inbox` or `transaction`',
    })
  }
  if (latency?.withinMs === 0 || availability?.windowMs === 0) {
    const path =
      latency?.withinMs === 0 ? ['sla', 'latency', 'within'] : ['sla', 'availability', 'window']
    add('CONTRACT_VALUE_WRONG', `\`${path.join('.')}\` is zero, expected more`, path)
  }
  if (delivery !== 'at-most-once') return
  for (const { name, retry } of Object.values(contract.consumers)) {
    if (
      retry.attempts === 1 ||
      mapAt(mapAt(mapAt(value, 'consumers'), name), 'retry').attempts === undefined
    )
      continue
    const message = `at-most-once delivers once, yet \`${name}\` retries`
    add('RETRY_IMPOSSIBLE', message, ['consumers', name, 'retry', 'attempts'], {
      severity: 'warning',
      hint: 'write `attempts: 1`, or `delivery: at-least-once`',
      consumer: name,
    })
  }
}

function checkProducers({ contract, add }: Check): void {
  const messages = new Set([...Object.keys(contract.events), ...Object.keys(contract.commands)])
  for (const { name, events } of Object.values(contract.producers)) {
    const listensTo = Object.keys(contract.consumers[name]?.events ?? {})
    if (listensTo.some((event) => (events ? events.includes(event) : messages.has(event)))) {
      add('PRODUCER_CONSUMES', `\`${name}\` is its own consumer`, ['consumers', name], {
        at: 'key',
        severity: 'warning',
        hint: 'check that it is meant so: it may be a loop',
        consumer: name,
      })
    }
    for (const [at, event] of (events ?? []).entries()) {
      if (messages.has(event)) continue
      const hint = suggest(event, messages)
      const path = ['producers', name, 'events', at]
      add('EVENT_UNDEFINED', `the contract defines no event or command ${shown(event)}`, path, {
        ...(hint === undefined ? {} : { hint }),
      })
    }
  }
}

function checkUpcasts({ contract, add }: Check): void {
  for (const [at, upcast] of contract.evolution.upcast.entries()) {
    const path: Path = ['evolution', 'upcast', at]
    if (upcast.event !== '' && !contract.events[upcast.event] && !contract.commands[upcast.event]) {
      const hint = suggest(upcast.event, Object.keys(contract.events))
      add(
        'EVENT_UNDEFINED',
        `the contract defines no event ${shown(upcast.event)}`,
        [...path, 'event'],
        {
          ...(hint === undefined ? {} : { hint }),
        },
      )
    }
    for (const key of ['from', 'to'] as const) {
      if (upcast[key] !== '' && !parseRange(upcast[key])) {
        add('VERSION_INVALID', `${shown(upcast[key])} is no version range`, [...path, key])
      }
    }
  }
}

/** True for a day that the calendar has. */
function isDay(text: string): boolean {
  const time = Date.parse(`${text}T00:00:00Z`)
  return Number.isFinite(time) && new Date(time).toISOString().startsWith(text)
}

function checkDates({ contract, add }: Check): void {
  const dates: [string | undefined, Path][] = [
    ...contract.gate.waivers.map((waiver, at): [string, Path] => [
      waiver.expires,
      ['gate', 'waivers', at, 'expires'],
    ]),
    ...contract.reviews.map((review, at): [string, Path] => [review.at, ['reviews', at, 'at']]),
  ]
  for (const kind of ['events', 'commands'] as const) {
    for (const { name, deprecated } of Object.values(contract[kind])) {
      dates.push([deprecated?.sunset, [kind, name, 'deprecated', 'sunset']])
    }
  }
  for (const [date, path] of dates) {
    if (date === undefined || date === '' || isDay(date)) continue
    add('DATE_INVALID', `${shown(date)} is no day of the calendar`, path, {
      hint: 'write an existing day as YYYY-MM-DD',
    })
  }
  const digest = contract.reviews.length > 0 ? contractDigest(contract) : ''
  for (const [at, review] of contract.reviews.entries()) {
    if (review.digest !== '' && review.digest !== digest) {
      const message = `the review by \`${review.consumer}\` is void: the contract has changed since`
      add('REVIEW_VOID', message, ['reviews', at, 'digest'], {
        severity: 'warning',
        hint: `once it is reviewed again, write \`${digest}\``,
      })
    }
    if (review.consumer === '' || contract.consumers[review.consumer]) continue
    const hint = suggest(review.consumer, Object.keys(contract.consumers))
    add(
      'CONTRACT_VALUE_WRONG',
      `the contract has no consumer ${shown(review.consumer)}`,
      ['reviews', at, 'consumer'],
      { severity: 'warning', ...(hint === undefined ? {} : { hint }) },
    )
  }
}
