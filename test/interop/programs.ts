import { Buffer } from 'node:buffer'
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { laneOf } from '../../src/messaging/lanes/share.ts'
import type { ServiceName } from '../conformance/service-url.ts'
import { runScript } from '../registry/python.ts'

const script = join(import.meta.dirname, 'client.py')

/** One message as another program sees it. */
export interface PlainMessage {
  readonly key?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly contentType?: string
  readonly body: string | Uint8Array
}

/** A client of other people's, and where our channels are for it. */
export interface Program {
  readonly library: string
  readonly service: ServiceName
  /** Where it writes. */
  readonly inlet: (address: string) => string
  /** Where it finds what we wrote under a key. */
  readonly outlet: (address: string, key: string) => string
  /** How the binding of CloudEvents names an attribute in the binary mode. */
  readonly attribute: (name: string) => string
  /** False: the broker has nothing beside headers for the type of the content. */
  readonly hasContentType: boolean
}

const lanes = 12

export const programs: readonly Program[] = [
  kafkaProgram('aiokafka'),
  kafkaProgram('confluent'),
  {
    library: 'nats',
    service: 'nats',
    inlet: (address) => address,
    outlet: (address) => `${address}.@.>`,
    attribute: (name) => `ce-${name}`,
    hasContentType: false,
  },
  {
    library: 'pika',
    service: 'rabbitmq',
    inlet: (address) => `${address}/orders.eu`,
    outlet: (address, key) => `${address}/${laneOf(key, lanes)}`,
    attribute: (name) => `cloudEvents:${name}`,
    hasContentType: true,
  },
  {
    library: 'redis',
    service: 'redis',
    inlet: (address) => address,
    outlet: (address, key) => `treaty:{${address}}:s${laneOf(key, lanes)}`,
    attribute: (name) => `ce-${name}`,
    hasContentType: false,
  },
]

function kafkaProgram(library: string): Program {
  return {
    library,
    service: 'kafka',
    inlet: (address) => address,
    outlet: (address) => address,
    attribute: (name) => `ce_${name}`,
    hasContentType: false,
  }
}

export async function produce(
  python: string,
  program: Program,
  at: { readonly url: string; readonly place: string; readonly messages: readonly PlainMessage[] },
): Promise<void> {
  const messages = at.messages.map(({ body, contentType, headers = {}, ...rest }) => ({
    ...rest,
    body: Buffer.from(body).toString('base64'),
    ...(program.hasContentType && contentType !== undefined ? { contentType } : {}),
    headers:
      program.hasContentType || contentType === undefined
        ? headers
        : { ...headers, 'content-type': contentType },
  }))
  const args = [script, 'produce', program.library, at.url, at.place]
  await runScript(python, args, JSON.stringify(messages))
}

/** What the program reads while `meanwhile` happens, once it listens. */
export async function consume(
  python: string,
  program: Program,
  at: { readonly url: string; readonly place: string; readonly count: number },
  meanwhile: () => Promise<unknown>,
): Promise<PlainMessage[]> {
  const args = [script, 'consume', program.library, at.url, at.place, String(at.count)]
  const listening = Promise.withResolvers<void>()
  const read = new Promise<string>((resolve, reject) => {
    const child = execFile(python, args, { timeout: 60_000 }, (error, stdout) =>
      error === null ? resolve(stdout) : reject(error),
    )
    child.stdout?.on('data', () => listening.resolve())
    // Only a queue has to be there before the message; what is a log can be read later.
    if (program.library !== 'pika') listening.resolve()
  })
  read.catch(() => listening.resolve())
  await listening.promise
  await meanwhile()
  const found = JSON.parse((await read).trim().split('\n').at(-1) ?? '') as {
    body: string
    headers: Record<string, string>
    key?: string
    contentType?: string
  }[]
  return found.map(({ body, ...rest }) => ({ ...rest, body: Buffer.from(body, 'base64') }))
}
