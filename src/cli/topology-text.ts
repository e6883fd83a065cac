import type { AppliedPlan, TopologyPlan } from '../messaging/index.ts'
import type { Style } from './style.ts'

const plural = (count: number, one: string) => `${count} ${one}${count === 1 ? '' : 's'}`

/** A plan as people read it: what is missing, other than needed, needed no more. */
export function planText(plan: TopologyPlan, style: Style): string {
  const lines = [...differences(plan, style), ...surplusLines(plan, style)]
  if (lines.length === 0) {
    return `${style.green(`${style.symbols.ok} ok`)}  ${plan.broker} has what the contracts need`
  }
  const { groups, subscriptions, channels } = plan.surplus
  const surplus = groups.length + subscriptions.length + channels.length
  const sum = [
    `${plan.missing.length} missing`,
    `${plan.drift.length} other than needed`,
    `${surplus} needed no more`,
  ].join(', ')
  const next =
    surplus > 0
      ? 'treaty topology apply makes and mends; with --allow-delete it also takes away'
      : 'treaty topology apply makes and mends'
  return [style.bold(plan.broker), ...lines, '', sum, style.dim(next)].join('\n')
}

/** What was done, and what is left. */
export function appliedText(plan: AppliedPlan, style: Style): string {
  const { green, symbols } = style
  const made = plan.created.map((name) => `  ${green('+')} ${name}`)
  const gone = plan.isSurplusRemoved ? surplusLines(plan, style) : []
  const left = [
    ...differences(plan, style),
    ...(plan.isSurplusRemoved ? [] : surplusLines(plan, style)),
  ]
  const lines = [
    `${green(`${symbols.ok} ok`)}  ${plan.broker}: ${plan.created.length} made, ${gone.length} taken away`,
    ...made,
    ...gone,
  ]
  return left.length === 0 ? lines.join('\n') : [...lines, 'left as it is:', ...left].join('\n')
}

function differences({ missing, drift }: TopologyPlan, style: Style): string[] {
  const paint = { error: style.red, warning: style.yellow, info: style.dim }
  return [
    ...missing.map((name) => `  ${style.green('+')} ${name}`),
    ...drift.map(
      ({ severity, code, message }) => `  ${paint[severity]('~')} ${message}  ${style.dim(code)}`,
    ),
  ]
}

function surplusLines({ surplus }: TopologyPlan, { red }: Style): string[] {
  const minus = red('-')
  return [
    ...surplus.subscriptions.map(
      ({ group, address }) => `  ${minus} subscription of ${group} to ${address}`,
    ),
    ...surplus.groups.map(({ name, waiting }) => {
      const what = waiting === undefined ? '' : `  (${plural(waiting, 'message')} waiting)`
      return `  ${minus} group ${name}${what}`
    }),
    ...surplus.channels.map(({ address, messages }) => {
      const what = messages === undefined ? '' : `  (${plural(messages, 'message')} kept)`
      return `  ${minus} channel ${address}${what}`
    }),
  ]
}
