import type { ChannelTopology } from '../../transport.ts'

const lanesDefault = 12
const lanesMax = 256

/** How many lanes a channel gets: `bindings.rabbitmq.partitions`, 1 to 256; 12 where it says nothing that makes sense. */
export function lanesOf({ ordering, bindings }: ChannelTopology): number {
  if (ordering === 'per-channel') return 1
  const { partitions } = (bindings?.rabbitmq ?? {}) as { partitions?: unknown }
  const lanes = Number(partitions)
  return Number.isInteger(lanes) && lanes >= 1 && lanes <= lanesMax ? lanes : lanesDefault
}
