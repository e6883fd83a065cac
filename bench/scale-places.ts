import { join } from 'node:path'
import { openKafkaBroker } from '../test/conformance/kafka-broker.ts'
import { openNatsBroker } from '../test/conformance/nats-broker.ts'
import { openRabbitmqBroker } from '../test/conformance/rabbitmq-broker.ts'
import { openRedisBroker } from '../test/conformance/redis-broker.ts'
import { scratchFolder, startPeer } from './peers.ts'
import { freshDatabase } from './postgres-place.ts'
import { ioOf, serviceCpu, servicePid, treeOf } from './server-cpu.ts'

/** A part of a broker that nobody else uses, for one shape. */
export interface Place {
  readonly url: string
  /** Microseconds of CPU that the server has used so far. */
  cpuMicros(): number | Promise<number>
  /** Bytes that the server has given to its disk so far; 0 where /proc does not say. */
  diskBytes(): number
  drop(): Promise<void>
}

export interface ScaleBroker {
  /** Whether partitions (lanes) mean something there. */
  readonly hasLanes: boolean
  open(): Promise<Place>
  /** Stops the server if it did not run before. */
  close(): void
}

/** The brokers by name, each started when it is asked for; or why there is none. */
export const scaleBrokers: Readonly<
  Record<string, () => ScaleBroker | { readonly reason: string }>
> = {
  kafka: () => onService('kafka', openKafkaBroker),
  nats: () => onService('nats', openNatsBroker),
  rabbitmq: () => onService('rabbitmq', openRabbitmqBroker),
  redis: () => onService('redis', openRedisBroker),
  postgres() {
    const peer = startPeer('postgres')
    if ('reason' in peer) return peer
    return {
      hasLanes: false,
      async open() {
        const { url, cpuMicros, drop } = await freshDatabase(peer.url)
        return { url, cpuMicros, diskBytes: serviceDisk('postgres'), drop }
      },
      close: () => peer.release(),
    }
  },
  sqlite: () => ({
    hasLanes: false,
    async open() {
      const scratch = scratchFolder()
      const url = `sqlite:${join(scratch.path, 'scale.db')}`
      return { url, cpuMicros: () => 0, diskBytes: () => 0, drop: async () => scratch.remove() }
    },
    close: () => undefined,
  }),
}

function onService(
  name: string,
  openPart: (server: string) => { readonly url?: string; dispose?(): void | Promise<void> },
): ScaleBroker | { readonly reason: string } {
  const peer = startPeer(name)
  if ('reason' in peer) return peer
  return {
    hasLanes: true,
    async open() {
      const part = openPart(peer.url)
      return {
        url: part.url ?? peer.url,
        cpuMicros: serviceCpu(name),
        diskBytes: serviceDisk(name),
        drop: async () => part.dispose?.(),
      }
    },
    close: () => peer.release(),
  }
}

function serviceDisk(name: string): () => number {
  return () => {
    const pid = servicePid(name)
    return pid === undefined ? 0 : treeOf(pid).reduce((sum, each) => sum + ioOf(each).disk, 0)
  }
}
