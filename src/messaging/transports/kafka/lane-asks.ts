import type { TimerHandle } from '../../../core/clock.ts'
import type { LaneGroup } from '../../lanes/driver.ts'
import type { DeadIndex } from './dead-index.ts'
import { tombstone } from './dead-letters.ts'
import type { Hold } from './hold.ts'
import { laneName, parsePosition } from './names.ts'
import type { Appended, Producer } from './producer.ts'
import type { Registry } from './registry.ts'
import type { Wire } from './wire.ts'

/**
 * Under `onDead: block` a dead message stays in its lane and its key waits. A replay or discard, from any process, is written into the
 * letter's own record; this looks for such records while there is anything that waits.
 */
export interface LaneAsks {
  /** A message may have died, or a lane with dead ones may have come. */
  soon(options?: { readonly isNew: boolean }): void
  close(): void
}

export interface LaneAskOptions {
  readonly wire: Wire
  readonly index: DeadIndex
  readonly registry: Registry
  readonly producer: Producer
  readonly group: string
  readonly core: () => LaneGroup
  readonly holds: ReadonlyMap<string, Hold>
}

const pauseMs = 300

export function createLaneAsks(options: LaneAskOptions): LaneAsks {
  const { wire, holds } = options
  /** Records that were obeyed: what is read again later is old. */
  const obeyed = new Set<string>()
  let timer: TimerHandle | undefined
  let isNew = false
  let isClosed = false

  function soon(): void {
    if (timer !== undefined || isClosed) return
    if (!isNew && ![...holds.values()].some(({ book }) => book.blocked.length > 0)) return
    timer = wire.clock.setTimeout(() => {
      void ask()
        .catch(() => undefined)
        .finally(() => {
          timer = undefined
          soon()
        })
    }, pauseMs)
  }

  async function ask(): Promise<void> {
    const { index, producer } = options
    await index.refresh()
    isNew = false
    const over: Appended[] = []
    for (const filed of index.asks(options.group)) {
      const name = `${filed.id}@${filed.offset}`
      if (obeyed.has(name)) continue
      const found = findHold(options, filed.summary)
      if (found === undefined || found.hold.isReleasing) continue
      const { hold, offset } = found
      const isHeld = hold.book.blocked.includes(offset)
      const how = filed.asked?.how === 'discard' ? 'discard' : 'replay'
      // A lane that was just taken over may not have been read that far.
      if (isHeld && !options.core().unblock(hold.lane, String(offset), how)) continue
      obeyed.add(name)
      // Its last owner did it, and died before it could say so.
      if (!isHeld) over.push(tombstone(filed))
    }
    if (over.length > 0) await producer.appendAll(over)
  }

  return {
    soon(given) {
      isNew ||= given?.isNew ?? false
      soon()
    },
    close() {
      isClosed = true
      if (timer !== undefined) wire.clock.clearTimeout(timer)
    },
  }
}

function findHold(
  { registry, holds }: LaneAskOptions,
  { address, position }: { readonly address: string; readonly position?: string },
): { hold: Hold; offset: number } | undefined {
  const at = parsePosition(position ?? '')
  const topic = registry.channel(address)?.topic
  if (at === undefined || topic === undefined) return undefined
  const hold = holds.get(laneName({ topic, partition: at.partition }))
  return hold && { hold, offset: at.offset }
}
