import type { EndpointOptions } from '../outbound/endpoint.ts'
import type { SenderOptions } from '../outbound/sender-options.ts'
import { bytes, given, milliseconds, perSecond, share } from './quantities.ts'
import type { EndpointConfig, SenderConfig } from './webhooks-config.ts'

/** Who looks after the endpoints of a configuration. */
export const configurationManager = 'configuration'

/** What the configuration says of a sender. `secret`: the value of a reference. */
export function readSender(
  config: SenderConfig,
  secret: (reference: string) => string,
): Omit<SenderOptions, 'store'> {
  const { name, concurrency, oversize, href, verification, origin, sealKey } = config
  return given({
    name,
    schedule: scheduleOf(config.schedule),
    jitter: share(config.jitter),
    timeoutMs: milliseconds(config.timeout),
    overloadDelayMs: milliseconds(config.overloadDelay),
    concurrency,
    disable: disableOf(config.disable),
    egress: egressOf(config.egress),
    bodyBytesMax: bytes(config.body),
    oversize,
    hrefOf: href && ((id: string) => href.replaceAll('{id}', encodeURIComponent(id))),
    verification,
    origin,
    secretOverlapMs: milliseconds(config.secretOverlap),
    retentionMs: milliseconds(config.retention),
    sealKey: sealKey && secret(sealKey),
  }) as Omit<SenderOptions, 'store'>
}

function egressOf(config: SenderConfig['egress']): SenderOptions['egress'] {
  if (config === undefined) return undefined
  const ports = [config.ports ?? []].flat()
  const allowed = ports.includes('any') ? 'any' : ports.filter((port) => port !== 'any')
  return given({ ...config, ports: config.ports === undefined ? undefined : allowed })
}

function disableOf(config: SenderConfig['disable']): SenderOptions['disable'] {
  if (config === undefined) return undefined
  return given({
    failingForMs: milliseconds(config.failingFor),
    failures: config.failures,
    alertAt: config.alertAt?.map((at) => share(at) ?? 1).toSorted((left, right) => left - right),
  })
}

function scheduleOf(config: readonly string[] | undefined): readonly number[] | undefined {
  return config?.map((delay) => milliseconds(delay) ?? 0)
}

/** What the configuration says of an endpoint. */
export function readEndpoint(
  id: string,
  config: EndpointConfig,
  secret: (reference: string) => string,
): EndpointOptions & { readonly id: string } {
  const { url, events, filter, algorithm, order, onExhausted, concurrency, headers } = config
  return {
    id,
    url,
    managedBy: configurationManager,
    ...given({
      events: typeof events === 'string' ? [events] : events,
      filter,
      secret: config.secret && secret(config.secret),
      algorithm,
      order,
      onExhausted,
      throttlePerSecond: perSecond(config.rate),
      concurrency,
      headers,
      schedule: scheduleOf(config.schedule),
      timeoutMs: milliseconds(config.timeout),
      description: config.description,
    }),
  } as EndpointOptions & { readonly id: string }
}
