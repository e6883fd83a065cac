import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { catalogEntry, isTreatyError } from '../core/errors.ts'
import { resolveSecrets } from '../core/secret.ts'
import { openTransport } from './open-transport.ts'

/** Every transport that is reached by a URL, with a secret where the password or the token stands. */
const places = [
  ['kafka', 'kafka://app:PW@HOST'],
  ['kafka with SCRAM', 'kafka://app:PW@HOST?mechanism=SCRAM-SHA-512'],
  ['kafka over TLS', 'kafka+ssl://app:PW@HOST'],
  ['nats', 'nats://app:PW@HOST'],
  ['nats with a token', 'nats://PW@HOST'],
  ['nats with a token among the options', 'nats://HOST?token=PW'],
  ['nats over TLS', 'tls://app:PW@HOST'],
  ['rabbitmq', 'amqp://app:PW@HOST/vhost'],
  ['rabbitmq over TLS', 'amqps://app:PW@HOST'],
  ['redis', 'redis://app:PW@HOST/1'],
  ['redis over TLS', 'rediss://:PW@HOST'],
  ['postgres', 'postgres://app:PW@HOST/shop'],
] as const

const password = 'hunter2/@:?Zq'

/** A port at which nobody listens any more. */
async function closedPort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

async function failureOf(url: string): Promise<unknown> {
  try {
    const transport = await openTransport(url)
    transport.onError(() => undefined)
    try {
      await transport.connect()
    } finally {
      await transport.close({ drainMs: 0 })
    }
  } catch (error) {
    return error
  }
  throw new Error('it connected')
}

/** The whole error, causes included, as whoever prints it carelessly would show it. */
const printed = (error: unknown) => inspect(error, { depth: 20, showHidden: true })

describe('the URL of a broker', () => {
  it.concurrent.each(places)(
    '%s: nobody there is one named error with a hint, and no password',
    async (_, place) => {
      const url = place
        .replace('PW', 'secret://env/PW')
        .replace('HOST', `127.0.0.1:${await closedPort()}`)
      const error = await failureOf(resolveSecrets(url, { PW: password }).reveal())

      expect(isTreatyError(error) && error.code).toMatch(/^(BROKER_UNREACHABLE|STORE_UNAVAILABLE)$/)
      if (!isTreatyError(error)) return
      expect(error.hint).toMatch(/^[A-Z].*\.$/)
      expect(error.message).not.toContain('\n')
      expect(catalogEntry(error.code).exitCode).toBe(6)
      const text = `${error.message} ${JSON.stringify(error)} ${error.stack}`
      for (const form of [password, encodeURIComponent(password)]) expect(text).not.toContain(form)
    },
  )

  it.each(places)(
    '%s: an option that is not known, or a password that is not encoded, shows none',
    async (_, place) => {
      const broken = [
        place.replace('PW', 'hunter2Zq').replace('HOST', 'nowhere.invalid:99999'),
        place.replace('PW', 'hunter2/Zq#x').replace('HOST', 'nowhere.invalid'),
      ]
      for (const url of broken) {
        const error = await failureOf(url)
        expect(isTreatyError(error)).toBe(true)
        expect(printed(error)).not.toContain('Zq')
      }
    },
  )
})
