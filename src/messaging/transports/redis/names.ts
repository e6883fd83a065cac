/** Names of our keys. Those of one channel share a hash tag, so that scripts stay legal on a cluster. */
export interface Names {
  /** Every channel that has keys: a set of addresses. */
  readonly addresses: string
  /** Every group: a set of names. */
  readonly groups: string
  /** Counts of channels that are gone. */
  readonly past: string
  /** The channels that a group reads: a set of addresses. */
  addressesOf(group: string): string
  /** What the names of a channel's keys begin with; the first key of every script. */
  base(address: string): string
  bell(address: string): string
  /** Where other programs write: the stream with the name of the channel. */
  inlet(address: string): string
  lane(address: string, lane: number): string
  combos(address: string): string
  /** Dead letters of one combination of consumer, event and reason. */
  dead(address: string, combo: string): string
  letters(address: string): string
}

export function namesUnder(prefix: string): Names {
  const ours = `${prefix}treaty:`
  const base = (address: string) => `${ours}{${tagOf(prefix + address)}}`
  return {
    addresses: `${ours}addresses`,
    groups: `${ours}groups`,
    past: `${ours}past`,
    addressesOf: (group) => `${ours}group:${group}`,
    base,
    inlet: (address) => prefix + address,
    bell: (address) => `${base(address)}:bell`,
    lane: (address, lane) => `${base(address)}:s${lane}`,
    combos: (address) => `${base(address)}:dead:combos`,
    dead: (address, combo) => `${base(address)}:dead:${combo}`,
    letters: (address) => `${base(address)}:dead:letters`,
  }
}

/** A brace would end the hash tag; an empty one would be none. */
function tagOf(address: string): string {
  return address.replaceAll(/[{}%]/g, (brace) => encodeURIComponent(brace)) || '%'
}
