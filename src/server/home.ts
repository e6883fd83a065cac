import { createHash } from 'node:crypto'
import type { CatalogEntry } from '../core/catalog/entry.ts'
import type { ServerState } from './state.ts'

const style = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 46rem; margin: 3rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.05rem; margin-top: 2rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .25rem .75rem .25rem 0; vertical-align: top }
td.n { text-align: right; font-variant-numeric: tabular-nums } code { font-size: .92em } .dim { opacity: .7 }
`

/** The pages run nothing and load nothing; their one style sheet is known by its hash. */
export const pagePolicy = `default-src 'none'; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

const places = [
  ['/health', 'live, ready, dependencies'],
  ['/metrics', 'Prometheus text'],
  ['/openapi.json', 'every call of this API'],
  ['/.well-known/treaty', 'the contracts, with versions and hashes'],
  ['/api/stats', 'the ledger: counts of all messages, and by event'],
  ['/api/dead', 'dead letters: what gave up, and why'],
  ['/api/messages', 'messages that are still kept'],
  ['/api/contracts', 'the contracts that are loaded'],
] as const

/** What is here, as a page and as text. */
export async function homePage(state: ServerState): Promise<{ html: string; text: string }> {
  const stats = await state.bus?.stats()
  const now = stats
    ? `${stats.published} published, ${stats.handled} handled, ${stats.waiting} waiting, ${stats.dead} dead`
    : 'the bus is not open yet'
  const contracts = state.contracts.map((contract) => ({
    name: `${contract.id}@${contract.version}`,
    purpose: contract.purpose,
  }))
  const text = [
    `Treaty ${state.version}: ${now}`,
    '',
    ...contracts.map(({ name, purpose }) => `  ${name}  ${purpose}`),
    '',
    ...places.map(([path, what]) => `  ${path.padEnd(22)}${what}`),
    '',
  ].join('\n')
  const html = page(
    'Treaty',
    `<h1>Treaty <span class="dim">${escapeHtml(state.version)}</span></h1><p>${escapeHtml(now)}</p>
<h2>Contracts</h2><table>${contracts.map(({ name, purpose }) => `<tr><td><code>${escapeHtml(name)}</code></td><td>${escapeHtml(purpose)}</td></tr>`).join('')}</table>
<h2>What is here</h2><table>${places.map(([path, what]) => `<tr><td><a href="${path}"><code>${path}</code></a></td><td>${escapeHtml(what)}</td></tr>`).join('')}</table>`,
  )
  return { html, text }
}

/** The page behind the `type` of a problem. */
export function errorPage(code: string, title: string, entry: CatalogEntry): string {
  const example =
    entry.example === undefined
      ? ''
      : `<h2>Example</h2><pre><code>${escapeHtml(entry.example)}</code></pre>`
  return page(
    code,
    `<h1>${escapeHtml(title)} <code class="dim">${escapeHtml(code)}</code></h1><p>${escapeHtml(entry.meaning)}</p><h2>What to do</h2><p>${escapeHtml(entry.fix)}</p>${example}
<p class="dim">HTTP ${entry.status}, exit code ${entry.exitCode}${entry.retryable ? ', trying again may help' : ''}</p>`,
  )
}

function page(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escapeHtml(title)}</title><meta name="viewport" content="width=device-width"><style>${style}</style></head><body>${body}</body></html>`
}

function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
