import type { Contract } from '../../contracts/index.ts'
import { isOwnHeader } from '../outbound/endpoint.ts'
import { isPattern, matchesType } from '../outbound/event-types.ts'
import { filterFindings } from '../outbound/filter.ts'
import type { EndpointConfig, SourceConfig, WebhooksConfig } from './webhooks-config.ts'

/** A mistake in `webhooks:`, with the path to its place in that section. */
export interface ConfigMistake {
  readonly path: readonly (string | number)[]
  readonly message: string
  readonly hint: string
  /** Default `error`. */
  readonly severity?: 'warning'
}

const namePattern = /^[A-Za-z0-9][\w.-]{0,99}$/
const idPattern = /^[\w-]{1,64}$/
const pathPattern = /^(?:\/[\w.~-]+)+$/
/** What the server itself answers. */
const takenPaths = /^\/(?:api|health|metrics|openapi\.json|\.well-known|confluent)(?:\/|$)/

/** The path of a source: its own, or `/hooks/` and its name. */
export function pathOfSource(name: string, { path }: Pick<SourceConfig, 'path'>): string {
  return path ?? `/hooks/${name}`
}

/**
 * What is wrong in a section whose keys and kinds of value were checked before: names, paths, what excludes each other,
 * conditions that do not compile.
 */
export function webhookMistakes(config: WebhooksConfig): ConfigMistake[] {
  const paths = new Map<string, string>()
  return [
    ...Object.entries(config.sources ?? {}).flatMap(([name, source]) => [
      ...sourceMistakes(name, source),
      ...pathMistakes(name, source, paths),
    ]),
    ...Object.entries(config.endpoints ?? {}).flatMap(([id, endpoint]) =>
      endpointMistakes(id, endpoint),
    ),
  ]
}

function sourceMistakes(name: string, source: SourceConfig): ConfigMistake[] {
  const at = ['sources', name]
  const found: ConfigMistake[] = []
  const add = (path: readonly string[], message: string, hint: string) =>
    found.push({ path: [...at, ...path], message, hint })
  if (!namePattern.test(name)) {
    add([], `\`${name}\` is no name for a source`, 'Use letters, digits, dots and dashes.')
  }
  const ways = [source.event, source.handle].filter((way) => way !== undefined)
  if (ways.length !== 1) {
    add(
      [],
      `the source ${name} needs exactly one of \`event\` and \`handle\``,
      'Name the event that a delivery becomes, or a module for synchronous mode.',
    )
  }
  if (source.data !== undefined && source.map !== undefined) {
    add(['map'], `the source ${name} has \`data\` and \`map\``, 'Keep one of them.')
  }
  if (source.handle !== undefined && (source.data ?? source.map) !== undefined) {
    add(
      ['handle'],
      `the source ${name} handles at once, so nothing is mapped`,
      'Take data and map away.',
    )
  }
  if (typeof source.event === 'object') {
    found.push(...fieldMistakes(source.event, [...at, 'event']))
  }
  if (source.dedupe?.key) found.push(...fieldMistakes(source.dedupe.key, [...at, 'dedupe', 'key']))
  const { verify } = source
  const secrets = verify === 'unsigned' ? ['unsigned'] : [verify.secrets].flat()
  if (secrets.length === 0) {
    add(
      ['verify', 'secrets'],
      `the source ${name} has no secret, so nothing would verify`,
      'Name at least one, such as secret://env/NAME.',
    )
  }
  return found
}

function fieldMistakes(
  { header, field }: { readonly header?: string; readonly field?: string },
  path: readonly string[],
): ConfigMistake[] {
  if ((header === undefined) !== (field === undefined)) return []
  const message = `\`${path.at(-1)}\` needs exactly one of \`header\` and \`field\``
  return [{ path, message, hint: 'Name a header, or a dotted path into the body.' }]
}

function pathMistakes(
  name: string,
  source: SourceConfig,
  paths: Map<string, string>,
): ConfigMistake[] {
  const path = pathOfSource(name, source)
  const at = ['sources', name, ...(source.path === undefined ? [] : ['path'])]
  const other = paths.get(path)
  paths.set(path, name)
  if (other !== undefined) {
    const message = `the sources ${other} and ${name} have the same path ${path}`
    return [{ path: at, message, hint: 'Give each a path of its own.' }]
  }
  if (source.path === undefined) return []
  if (!pathPattern.test(path)) {
    const message = `\`${path}\` is no path for a source`
    return [{ path: at, message, hint: 'Write it as /hooks/github, without a slash at the end.' }]
  }
  if (!takenPaths.test(path)) return []
  return [
    {
      path: at,
      message: `the server itself answers at ${path}`,
      hint: 'Use a path such as /hooks/github.',
    },
  ]
}

function endpointMistakes(id: string, endpoint: EndpointConfig): ConfigMistake[] {
  const at = ['endpoints', id]
  const found: ConfigMistake[] = []
  if (!idPattern.test(id)) {
    const hint = 'Use up to 64 letters, digits, _ and -.'
    found.push({ path: at, message: `\`${id}\` is no id for an endpoint`, hint })
  }
  if (!URL.canParse(endpoint.url)) {
    const message = `the endpoint ${id} has a \`url\` that is none`
    found.push({
      path: [...at, 'url'],
      message,
      hint: 'Write it as https://partner.example/hooks.',
    })
  }
  for (const [index, pattern] of [endpoint.events ?? []].flat().entries()) {
    if (isPattern(pattern)) continue
    const path = Array.isArray(endpoint.events) ? [...at, 'events', index] : [...at, 'events']
    const message = `\`${pattern}\` is no pattern of event types`
    found.push({ path, message, hint: 'Write order.placed, order.* or #.' })
  }
  for (const { message, hint = '' } of endpoint.filter === undefined
    ? []
    : filterFindings(endpoint.filter)) {
    found.push({ path: [...at, 'filter'], message, hint })
  }
  return [...found, ...headerMistakes(endpoint, at), ...orderMistakes(id, endpoint, at)]
}

function headerMistakes({ headers = {} }: EndpointConfig, at: readonly string[]): ConfigMistake[] {
  return Object.entries(headers).flatMap(([name, value]) => {
    const path = [...at, 'headers', name]
    if (!isOwnHeader(name)) {
      const message = `the header ${name} cannot be set for an endpoint`
      return [{ path, message, hint: 'Choose another name: the protocol uses this one.' }]
    }
    if (!value.includes('secret://')) return []
    const message = `the header ${name} is shown to people, so it cannot hold a secret`
    return [{ path, message, hint: 'Let the receiver check the signature instead.' }]
  })
}

function orderMistakes(
  id: string,
  endpoint: EndpointConfig,
  at: readonly string[],
): ConfigMistake[] {
  const { order = 'none', onExhausted } = endpoint
  if (order !== 'none' || onExhausted === undefined) return []
  const message = `\`onExhausted\` of ${id} means nothing without an order`
  return [
    {
      path: [...at, 'onExhausted'],
      message,
      hint: 'Add order: key or order: fifo, or take it away.',
    },
  ]
}

/** What the section says that the loaded contracts do not know: events, producers, consumers. */
export function webhookContractMistakes(
  config: WebhooksConfig,
  contracts: readonly Contract[],
): ConfigMistake[] {
  const events = new Set(contracts.flatMap((contract) => Object.keys(contract.events)))
  const consumers = contracts.flatMap((contract) => Object.keys(contract.consumers))
  const found: ConfigMistake[] = []
  for (const [name, source] of Object.entries(config.sources ?? {})) {
    for (const [path, event] of eventsOf(source)) {
      if (events.has(event)) continue
      const message = `no loaded contract has the event \`${event}\` of the source ${name}`
      const hint = 'Name an event of a contract under contracts, or load its contract.'
      found.push({ path: ['sources', name, ...path], message, hint })
    }
  }
  for (const [index, consumer] of [config.sender?.consumers ?? []].flat().entries()) {
    if (consumers.includes(consumer)) continue
    const path = [
      'sender',
      'consumers',
      ...(Array.isArray(config.sender?.consumers) ? [index] : []),
    ]
    const message = `no loaded contract has the consumer \`${consumer}\`, whose messages were to go out`
    found.push({ path, message, hint: `Use one of: ${consumers.join(', ') || 'none is loaded'}.` })
  }
  return [...found, ...deafEndpoints(config, events)]
}

function eventsOf({ event }: SourceConfig): [path: string[], event: string][] {
  if (typeof event === 'string') return [[['event'], event]]
  return Object.entries(event?.map ?? {}).map(([key, name]) => [['event', 'map', key], name])
}

/** An endpoint whose patterns mean no event is most likely a slip of the pen. */
function deafEndpoints(config: WebhooksConfig, events: ReadonlySet<string>): ConfigMistake[] {
  return Object.entries(config.endpoints ?? {}).flatMap(([id, endpoint]) => {
    const patterns = [endpoint.events ?? '#'].flat()
    const isOwn = patterns.some((pattern) => pattern.startsWith('webhook.'))
    const hears = patterns.some((pattern) =>
      [...events].some((event) => matchesType(pattern, event)),
    )
    if (hears || isOwn) return []
    const message = `no event of the loaded contracts is one that the endpoint ${id} subscribes to`
    const hint = 'Check the patterns against treaty contract show.'
    return [{ path: ['endpoints', id, 'events'], message, hint, severity: 'warning' as const }]
  })
}
