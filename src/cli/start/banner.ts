import { relative } from 'node:path'
import type { Contract } from '../../contracts/index.ts'
import { redactUrl } from '../../core/secret.ts'
import { pathOfSource } from '../../webhooks/index.ts'
import type { Style } from '../style.ts'
import { countOf } from './lines.ts'
import type { StartPlan } from './plan.ts'
import { storeFile } from './store-file.ts'

export interface BannerFacts {
  readonly command: string
  readonly version: string
  readonly plan: StartPlan
  readonly url: string
  readonly elapsedMs: number
  readonly contracts: readonly Contract[]
}

/** What runs and where, once it answers. */
export function bannerText(facts: BannerFacts, style: Style): string {
  const { plan, url, contracts } = facts
  const arrow = style.green(style.symbols.arrow)
  const place = (name: string, text: string) =>
    `  ${arrow}  ${style.bold(name.padEnd(10))}  ${text}`
  return [
    '',
    `  ${style.bold('TREATY')} ${facts.version}  ${style.dim(`up in ${facts.elapsedMs} ms`)}`,
    '',
    `  ready ${style.cyan(url)}`,
    '',
    place('API', `${url}/api/stats   ${style.dim('/openapi.json  /health  /metrics')}`),
    place('Transport', transportText(plan.transport)),
    ...hookPaths(plan).map((path, at) => place(at === 0 ? 'Webhooks' : '', `${url}${path}`)),
    `     ${style.dim(parts(plan, contracts).join(' · '))}`,
    '',
  ].join('\n')
}

/** Where neighbours send their webhooks. */
function hookPaths({ webhooks }: StartPlan): string[] {
  const sources = Object.entries(webhooks?.config.sources ?? {})
  return sources.map(([name, source]) => pathOfSource(name, source))
}

function transportText(url: string): string {
  if (/^memory:/i.test(url)) return `${url}  (forgets on exit; --store FILE keeps)`
  const file = storeFile(url)
  return file === undefined ? redactUrl(url) : `sqlite:${shortest(file)}`
}

function shortest(file: string): string {
  const near = relative(process.cwd(), file)
  return near.startsWith('..') || near === '' ? file : `./${near}`
}

function parts(plan: StartPlan, contracts: readonly Contract[]): string[] {
  const events = contracts.reduce((sum, contract) => sum + Object.keys(contract.events).length, 0)
  const all: [number, string][] = [
    [contracts.length, 'contract'],
    [events, 'event'],
    [plan.programs.length, 'service'],
    [plan.handlers.length, 'handler module'],
    [plan.feeds.length, 'feed'],
    [Object.keys(plan.webhooks?.config.endpoints ?? {}).length, 'webhook endpoint'],
  ]
  return all.filter(([count]) => count > 0).map(([count, noun]) => countOf(count, noun))
}
