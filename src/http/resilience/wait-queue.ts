/** Who waits for a turn. */
export interface Waiter {
  /** Tokens it needs; always 1 for a place. */
  readonly cost: number
  /** Higher goes first; equals in order of arrival. */
  readonly priority: number
  /** On the monotonic clock; Infinity: it waits as long as it takes. */
  readonly expiresAt: number
  /**
   * Its turn has come. False: it does not want it any more, so nothing was used up. Runs while the queue is being
   * served, so it must not call back into it.
   */
  grant(): boolean
  /** Its time is over. */
  expire(): void
}

interface PriorityClass {
  readonly priority: number
  nodes: Node[]
  head: number
  /** Sum over those who have not left. */
  cost: number
}

interface Node {
  readonly waiter: Waiter
  readonly of: PriorityClass
  isGone: boolean
}

/** First in, first out, by priority class. Leaving costs nothing: a place left is skipped when it comes up. */
export class WaitQueue {
  readonly #classes: PriorityClass[] = []
  /** In order of arrival, which is the order of expiry too: all wait equally long. */
  readonly #nodes = new Map<Waiter, Node>()

  get size(): number {
    return this.#nodes.size
  }

  add(waiter: Waiter): void {
    const of = this.#classOf(waiter.priority)
    const node = { waiter, of, isGone: false }
    this.#nodes.set(waiter, node)
    of.nodes.push(node)
    of.cost += waiter.cost
  }

  /** False: it was not there any more. */
  remove(waiter: Waiter): boolean {
    const node = this.#nodes.get(waiter)
    if (node === undefined) return false
    node.isGone = true
    node.of.cost -= waiter.cost
    this.#nodes.delete(waiter)
    return true
  }

  /** Whose turn is next. */
  first(): Waiter | undefined {
    for (const each of this.#classes) {
      while (each.nodes[each.head]?.isGone) each.head += 1
      if (each.head > 64 && each.head * 2 > each.nodes.length) {
        each.nodes = each.nodes.slice(each.head)
        each.head = 0
      }
      const node = each.nodes[each.head]
      if (node) return node.waiter
    }
    return undefined
  }

  /** Those whose turns are next, in order. */
  firsts(most: number): Waiter[] {
    const found: Waiter[] = []
    for (const each of this.#classes) {
      for (let at = each.head; at < each.nodes.length && found.length < most; at += 1) {
        const node = each.nodes[at] as Node
        if (!node.isGone) found.push(node.waiter)
      }
    }
    return found
  }

  /** Tokens that those ahead of a newcomer of this priority will take. */
  costAhead(priority: number): number {
    let sum = 0
    for (const each of this.#classes) {
      if (each.priority >= priority) sum += each.cost
    }
    return sum
  }

  /** The earliest time at which somebody's patience ends; Infinity: nobody's does. */
  earliestExpiry(): number {
    for (const waiter of this.#nodes.keys()) return waiter.expiresAt
    return Number.POSITIVE_INFINITY
  }

  /** Takes out and returns those whose time is over. */
  takeExpired(now: number): Waiter[] {
    const expired: Waiter[] = []
    for (const waiter of this.#nodes.keys()) {
      if (waiter.expiresAt > now) break
      expired.push(waiter)
      this.remove(waiter)
    }
    return expired
  }

  #classOf(priority: number): PriorityClass {
    const known = this.#classes.find((each) => each.priority === priority)
    if (known) return known
    const made = { priority, nodes: [], head: 0, cost: 0 }
    this.#classes.push(made)
    this.#classes.sort((a, b) => b.priority - a.priority)
    return made
  }
}
