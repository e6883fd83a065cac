import { errorMessage } from '../../core/errors.ts'
import type { EndpointRecord } from './endpoint.ts'
import { matchesType } from './event-types.ts'
import { compileFilter, type FilterMessage, type Judgement } from './filter.ts'

/** Who gets a message. */
export interface Selection {
  readonly targets: readonly string[]
  /** Endpoints whose filter could not judge it: they do not get it, and their log says why. */
  readonly failures: readonly { readonly endpointId: string; readonly failure: string }[]
  /** How many endpoints subscribe to its type, and do not want it by their filter. */
  readonly filtered: number
}

/** What a compiled expression is asked. */
type Judge = (message: FilterMessage) => Judgement

const compiledMost = 10_000

/** Chooses among subscribers by their filters. Each expression is compiled once, and judges each message once. */
export class Selector {
  readonly #compiled = new Map<string, Judge>()

  /** `message` is made only when some filter asks for it. */
  select(subscribers: readonly EndpointRecord[], message: () => FilterMessage): Selection {
    const targets: string[] = []
    const failures: { endpointId: string; failure: string }[] = []
    const known = new Map<string, Judgement>()
    let filtered = 0
    let seen: FilterMessage | undefined
    for (const { id, filter } of subscribers) {
      if (filter === undefined) {
        targets.push(id)
        continue
      }
      seen ??= message()
      const judged = known.get(filter) ?? this.#judgeOf(filter)(seen)
      known.set(filter, judged)
      if ('failure' in judged) failures.push({ endpointId: id, failure: judged.failure })
      else if (judged.passes) targets.push(id)
      else filtered += 1
    }
    return { targets, failures, filtered }
  }

  #judgeOf(expression: string): Judge {
    const known = this.#compiled.get(expression)
    if (known) return known
    const judge = judgeFor(expression)
    if (this.#compiled.size >= compiledMost) this.#compiled.clear()
    this.#compiled.set(expression, judge)
    return judge
  }
}

/** An expression that another version of the program stored may not compile here: that is a failure like any other. */
function judgeFor(expression: string): Judge {
  try {
    const filter = compileFilter(expression)
    return (message) => filter.judge(message)
  } catch (error) {
    const failure = errorMessage(error)
    return () => ({ failure })
  }
}

/** True where one of the patterns of an endpoint matches the event type. */
export function isSubscribed(patterns: readonly string[], type: string): boolean {
  return patterns.some((pattern) => matchesType(pattern, type))
}
