import type { Finding, Severity } from '../../core/finding.ts'
import type { Contract } from '../model.ts'
import type { FilePlace, Locator } from './compare-locate.ts'
import { createLocator } from './compare-locate.ts'
import type { ContractVerdict, MessageChange, SchemaBreak } from './compare-verdict.ts'
import type { ConsumerImpact, EventImpact } from './impact.ts'
import type { StructuralChange } from './roles.ts'
import { isBumpEnough, nextVersion } from './semver-bump.ts'

type Unplaced = Omit<ContractVerdict, 'findings'>

/** What one set of findings looks at. */
interface Telling {
  readonly verdict: Unplaced
  readonly after: Contract
  readonly locator: Locator
}

/** Everything that a verdict says, as findings with their places in the later contract's files. */
export function verdictFindings(verdict: Unplaced, after: Contract): Finding[] {
  const telling: Telling = { verdict, after, locator: createLocator(after) }
  const messages = Object.values(verdict.messages)
  const structural = new Set(messages.flatMap((message) => message.structural))
  return [
    ...messages.flatMap((message) => message.breaks.map((each) => broken(telling, message, each))),
    ...[...structural].filter(({ breaks }) => breaks).map((each) => changed(telling, each)),
    ...Object.values(verdict.consumers).flatMap((impact) => hurt(telling, impact)),
    ...versionFinding(telling),
  ]
}

function placed(place: FilePlace | undefined): Partial<Finding> {
  if (place === undefined) return {}
  const { file, line, column, frame, pointer } = place
  return { file, line, column, frame, pointer }
}

function broken({ verdict, locator }: Telling, message: MessageChange, each: SchemaBreak): Finding {
  const { part, direction, against, description, witness } = each
  const what = part === 'data' ? `\`${message.name}\`` : `the ${part} of \`${message.name}\``
  const earlier = against === verdict.after ? 'the earlier version' : `version ${against}`
  const place = placed(locator.inSchema({ ...message, part }, description.pointers))
  const shared = { event: message.name, ...place }
  const said = `${description.path}: ${description.change}`
  if (each.verdict.verdict === 'unknown') {
    const text = `whether ${what} still fits ${earlier} is not known (${said}): ${each.verdict.reason}`
    const hint =
      'Simplify the schema there, or waive `unknown-verdict` with a reason and an expiry.'
    return { code: 'VERDICT_UNKNOWN', severity: 'error', message: text, hint, ...shared }
  }
  const who =
    direction === 'forward'
      ? `readers of ${earlier} refuse what ${what} may hold now`
      : `${what} no longer accepts what ${earlier} has sent`
  return {
    code: 'BREAKING_CHANGE',
    severity: severityOf(verdict),
    message: `${said}, so ${who}`,
    hint: fixOf(verdict, description.path, description.change),
    ...shared,
    ...(witness === undefined ? {} : { witness }),
  }
}

/** A break under a new major version is declared: it is told, and stops nothing. */
function severityOf({ isMajor }: Unplaced): Severity {
  return isMajor ? 'warning' : 'error'
}

function fixOf({ before, isMajor }: Unplaced, path: string, change: string): string {
  const major = nextVersion(before, 'major') ?? 'the next major version'
  const raise = isMajor
    ? 'add an upcast from the earlier version'
    : `raise the version to ${major} with an upcast`
  const name = path.split('.').at(-1) ?? path
  if (path === 'data') return `Take the change back, or ${raise}.`
  if (change.endsWith('→ optional')) return `Keep \`${name}\` required, or ${raise}.`
  if (/required$/.test(change)) return `Make \`${name}\` optional, or ${raise}.`
  if (change.endsWith('→ gone')) return `Keep \`${name}\` and mark it deprecated, or ${raise}.`
  return `Add a field beside \`${name}\` and mark \`${name}\` deprecated, or ${raise}.`
}

function changed({ verdict, locator }: Telling, each: StructuralChange): Finding {
  const { event, path, change, fix } = each
  const about = event === undefined || change.includes(`\`${event}\``) ? '' : ` (\`${event}\`)`
  return {
    code: 'BREAKING_CHANGE',
    severity: severityOf(verdict),
    message: `${change}${about}, and both sides rely on it`,
    ...(fix === undefined ? {} : { hint: fix }),
    ...(event === undefined ? {} : { event }),
    ...placed(locator.inContract(path, 'key')),
  }
}

function hurt(telling: Telling, impact: ConsumerImpact): Finding[] {
  return impact.events
    .filter((event) => event.verdict !== 'compatible')
    .map((event) => hurtBy(telling, impact, event))
}

function hurtBy(
  telling: Telling,
  { consumer, pending }: ConsumerImpact,
  event: EventImpact,
): Finding {
  const { locator, verdict } = telling
  const { description, reason = '', witness } = event
  const isUnknown = event.verdict === 'unknown'
  const needed = neededPath(event)
  const reads = `\`${consumer}\` reads ${needed === undefined ? '' : `${needed} of `}\`${event.event}\``
  const why =
    description === undefined || isUnknown ? reason : `${description.path}: ${description.change}`
  const place = description
    ? locator.inSchema({ name: event.event, kind: 'event', part: 'data' }, description.pointers)
    : locator.inContract(['consumers', consumer], 'key')
  const waive = `or waive \`consumer-impact\` with the consent of ${consumer}`
  const fix = fixOf(verdict, description?.path ?? 'data', description?.change ?? '')
  return {
    code: isUnknown ? 'VERDICT_UNKNOWN' : 'CONSUMER_BROKEN',
    severity: pending ? 'info' : 'error',
    message: isUnknown
      ? `${reads}, and whether it still can is not known: ${why}`
      : `${reads}, and can no longer: ${why}`,
    hint: `${fix.slice(0, -1)}, ${waive}.`,
    event: event.event,
    consumer,
    ...placed(place),
    ...(witness === undefined ? {} : { witness }),
  }
}

/** The need that the break is about: the longest that lies on the path of the change. */
export function neededPath({ needs, description }: EventImpact): string | undefined {
  const path = description?.path
  if (path === undefined) return needs.length === 0 ? undefined : needs.join(', ')
  const met = needs.filter(
    (need) => need === path || need.startsWith(`${path}.`) || path.startsWith(`${need}.`),
  )
  return met.length > 0 ? met.join(', ') : needs.join(', ') || undefined
}

function versionFinding({ verdict, after, locator }: Telling): Finding[] {
  const { before, bump, id } = verdict
  if (bump === 'none' || bump === 'unknown') return []
  if (isBumpEnough(before, after.version, bump)) return []
  // A break without a new major version is an error of its own.
  if (bump === 'major' && !verdict.isMajor) return []
  const least = nextVersion(before, bump)
  return [
    {
      code: 'VERSION_TOO_LOW',
      severity: 'warning',
      message: `\`${id}\` has changed since ${before} and says version ${after.version}, at least ${least} is due`,
      hint: `Write \`version: ${least}\`.`,
      ...placed(locator.inContract(['version'])),
    },
  ]
}
