import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import type { Clock } from '../core/clock.ts'
import { systemClock } from '../core/clock.ts'

export interface FaultProxyOptions {
  readonly host?: string
  readonly port: number
  readonly clock?: Clock
}

/** A loopback port that leads to another, with a network in between that a test commands. */
export interface FaultProxy {
  readonly host: string
  readonly port: number
  /** Connections that are open. */
  connections(): number
  /** Ends every connection at once with a reset, without a farewell. New ones are taken. */
  cut(): void
  /** Holds each chunk back by this time in both directions, keeping the order. 0: none. */
  setDelay(ms: number): void
  /** Half-open: connections stay, and are taken, but nothing passes, as when a cable is pulled. */
  freeze(): void
  /** What was held back passes. */
  thaw(): void
  /** Refuses new connections, or takes them again. */
  refuse(refuses: boolean): void
  close(): Promise<void>
}

interface Pair {
  readonly client: Socket
  readonly server: Socket
}

interface Network {
  readonly clock: Clock
  delayMs: number
  frozen: boolean
  refuses: boolean
  /** Told when the network thaws. */
  readonly waiting: Set<() => void>
}

/** Passes chunks on in their order, each no sooner than the network allows. */
function pipe(from: Socket, to: Socket, network: Network): void {
  let tail: Promise<void> = Promise.resolve()
  const pass = (chunk: Buffer | undefined, dueAt: number) => {
    tail = tail.then(async () => {
      await untilDue(network, dueAt)
      if (network.frozen) await new Promise<void>((resolve) => network.waiting.add(resolve))
      if (chunk === undefined) to.end()
      else if (!to.destroyed) to.write(chunk)
    })
  }
  const dueAt = () => network.clock.monotonic() + network.delayMs
  from.on('data', (chunk: Buffer) => pass(chunk, dueAt()))
  from.on('end', () => pass(undefined, dueAt()))
  from.on('close', () => {
    if (!network.frozen) to.destroySoon()
  })
  // A reset is the point of this proxy; the other side is told by its own close.
  from.on('error', () => to.destroy())
}

function untilDue(network: Network, dueAt: number): Promise<void> | undefined {
  const waitMs = dueAt - network.clock.monotonic()
  if (waitMs <= 0) return undefined
  return new Promise((resolve) => network.clock.setTimeout(resolve, waitMs))
}

/** Listens on a free port of 127.0.0.1 and connects each caller to `options.port`. */
export async function faultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const { host = '127.0.0.1', port, clock = systemClock } = options
  const network: Network = { clock, delayMs: 0, frozen: false, refuses: false, waiting: new Set() }
  const pairs = new Set<Pair>()
  const listener = createServer((client) => {
    if (network.refuses) {
      client.resetAndDestroy()
      return
    }
    const server = connect({ host, port })
    const pair = { client, server }
    pairs.add(pair)
    client.on('close', () => pairs.delete(pair))
    pipe(client, server, network)
    pipe(server, client, network)
  })
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject)
    listener.listen(0, '127.0.0.1', resolve)
  })
  const cut = () => {
    for (const { client, server } of pairs) {
      client.resetAndDestroy()
      server.resetAndDestroy()
    }
    pairs.clear()
  }
  const thaw = () => {
    network.frozen = false
    for (const resolve of network.waiting) resolve()
    network.waiting.clear()
  }
  return {
    host: '127.0.0.1',
    port: (listener.address() as AddressInfo).port,
    connections: () => pairs.size,
    cut,
    setDelay(ms) {
      network.delayMs = ms
    },
    freeze() {
      network.frozen = true
    },
    thaw,
    refuse(refuses) {
      network.refuses = refuses
    },
    async close() {
      cut()
      thaw()
      await new Promise<void>((resolve) => listener.close(() => resolve()))
    },
  }
}
