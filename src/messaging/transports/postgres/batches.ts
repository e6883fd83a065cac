/** Work that is gathered while the batch before it is under way. */
export interface Batcher<Item, Result> {
  /** Resolves with the item's result. Rejects when its batch failed, or with the signal's reason if it had not begun. */
  add(item: Item, signal?: AbortSignal): Promise<Result>
  /** Resolves when nothing is waiting or under way. */
  idle(): Promise<void>
}

interface Waiting<Item, Result> {
  readonly item: Item
  readonly size: number
  readonly answer: PromiseWithResolvers<Result>
}

/**
 * One batch after another: what is added together keeps its order, and the longer a batch takes the more goes with the
 * next.
 */
export function createBatcher<Item, Result>(options: {
  readonly sizeOf: (item: Item) => number
  /** Sum of the sizes in one batch; a single item may be larger. */
  readonly sizeMax: number
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>
}): Batcher<Item, Result> {
  let queue: Waiting<Item, Result>[] = []
  let running: Promise<void> | undefined

  const takeBatch = () => {
    let size = 0
    let count = 0
    for (const waiting of queue) {
      if (count > 0 && size + waiting.size > options.sizeMax) break
      size += waiting.size
      count += 1
    }
    return queue.splice(0, count)
  }
  const runAll = async () => {
    // The rest of this turn of the event loop may add more.
    await Promise.resolve()
    while (queue.length > 0) {
      const batch = takeBatch()
      try {
        const results = await options.run(batch.map(({ item }) => item))
        for (const [index, { answer }] of batch.entries()) answer.resolve(results[index] as Result)
      } catch (error) {
        for (const { answer } of batch) answer.reject(error)
      }
    }
    running = undefined
  }

  return {
    add(item, signal) {
      const waiting = {
        item,
        size: options.sizeOf(item),
        answer: Promise.withResolvers<Result>(),
      }
      const onAbort = () => {
        if (!queue.includes(waiting)) return
        queue = queue.filter((each) => each !== waiting)
        waiting.answer.reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      queue.push(waiting)
      running ??= runAll()
      return waiting.answer.promise.finally(() => signal?.removeEventListener('abort', onAbort))
    },
    async idle() {
      while (running !== undefined) await running
    },
  }
}
