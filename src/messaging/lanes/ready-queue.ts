import { priorityLevels } from '../transport.ts'
import type { Node } from './lane.ts'

/** So often the lowest level has its turn, however much of a higher one there is. */
const fairEvery = 16
const normal = priorityLevels.indexOf('normal')

/** Messages that may start: higher priorities first, each level in the order of arrival. */
export class ReadyQueue {
  readonly #levels = priorityLevels.map(() => new Fifo())
  readonly #highestFirst = this.#levels.toReversed()
  #taken = 0

  push(node: Node): void {
    const level = node.entry.record.priority ?? normal
    this.#levels[Math.min(Math.max(level, 0), this.#levels.length - 1)]?.push(node)
  }

  /** The next that is still waiting here; others were ended or taken away meanwhile. */
  shift(): Node | undefined {
    this.#taken += 1
    const levels = this.#taken % fairEvery === 0 ? this.#levels : this.#highestFirst
    for (const level of levels) {
      const node = level.shift()
      if (node !== undefined) return node
    }
    return undefined
  }

  clear(): void {
    for (const level of this.#levels) level.clear()
  }
}

/** An array that is taken from at its front without moving the rest each time. */
class Fifo {
  #nodes: Node[] = []
  #head = 0

  push(node: Node): void {
    this.#nodes.push(node)
  }
  shift(): Node | undefined {
    while (this.#head < this.#nodes.length) {
      const node = this.#nodes[this.#head]
      this.#head += 1
      if (this.#head > 1024 && this.#head * 2 > this.#nodes.length) {
        this.#nodes = this.#nodes.slice(this.#head)
        this.#head = 0
      }
      if (node !== undefined && node.phase === 'ready' && node.lane.isOpen) return node
    }
    if (this.#head > 0) this.clear()
    return undefined
  }
  clear(): void {
    this.#nodes = []
    this.#head = 0
  }
}
