/**
 * Patterns over event names, as AMQP has them: `*` stands for one segment, `#` for the rest, which may be nothing. `*` alone stands for every
 * event.
 */

/** The patterns that fit an event name: `order.placed` has `order.*`, `*.placed`, `*.*`, `order.placed.#`, `order.#`, `*.#` and `#`. */
export type PatternOf<Event extends string> = string extends Event
  ? never
  : Exclude<Starred<Event> | Hashed<Event>, Event>
type Starred<Event extends string> = Event extends `${infer Head}.${infer Rest}`
  ? `${Head | '*'}.${Starred<Rest>}`
  : Event | '*'
type Hashed<Event extends string> =
  | '#'
  | (Event extends `${infer Head}.${infer Rest}`
      ? `${Head | '*'}.${Hashed<Rest>}`
      : `${Event | '*'}.#`)

/** True for what is a pattern and no name. */
export function isPattern(text: string): boolean {
  return text.split('.').some((segment) => segment === '*' || segment === '#')
}

/** True where the pattern, or the name itself, fits the event. A `#` that is not the last segment fits nothing. */
export function fitsPattern(pattern: string, event: string): boolean {
  if (pattern === '*' || pattern === '#') return true
  const wanted = pattern.split('.')
  const has = event.split('.')
  for (const [at, segment] of wanted.entries()) {
    if (segment === '#') return at === wanted.length - 1
    if (has[at] === undefined || (segment !== '*' && segment !== has[at])) return false
  }
  return has.length === wanted.length
}

/** The pattern of the list that says most about the event: most literal segments, `*` before `#`, the first of equals. */
export function closestPattern(patterns: readonly string[], event: string): string | undefined {
  const fitting = patterns.filter((pattern) => fitsPattern(pattern, event))
  return fitting.toSorted((a, b) => rank(b) - rank(a))[0]
}

function rank(pattern: string): number {
  // `*` alone is for what nothing else is for.
  if (pattern === '*') return -1000
  const segments = pattern.split('.')
  const literal = segments.filter((segment) => segment !== '*' && segment !== '#').length
  return literal * 100 + segments.length - (segments.at(-1) === '#' ? 50 : 0)
}
