import { isIPv4, isIPv6 } from 'node:net'

/** Whether something may be called. */
export type EgressVerdict =
  | { readonly allowed: true }
  | { readonly allowed: false; readonly reason: string }

interface Range {
  readonly base: bigint
  readonly bits: number
  readonly reason: string
}

/** The groups of an IPv6 address or of a part of one; an IPv4 tail counts as two. */
function groupsOf(part: string): number[] {
  if (part === '') return []
  return part.split(':').flatMap((group) => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const value = Number(ipv4Value(group))
    return [value >>> 16, value & 0xffff]
  })
}

function ipv4Value(text: string): bigint {
  return text.split('.').reduce((sum, byte) => sum * 256n + BigInt(byte), 0n)
}

function ipv6Value(text: string): bigint {
  const [head = '', tail] = text.split('::')
  const before = groupsOf(head)
  const after = tail === undefined ? [] : groupsOf(tail)
  const gap = new Array<number>(8 - before.length - after.length).fill(0)
  return [...before, ...gap, ...after].reduce((sum, group) => sum * 65_536n + BigInt(group), 0n)
}

function ranges(
  list: readonly (readonly [string, string])[],
  toValue: (text: string) => bigint,
): Range[] {
  return list.map(([cidr, reason]) => {
    const [base = '', bits = ''] = cidr.split('/')
    return { base: toValue(base), bits: Number(bits), reason }
  })
}

/** @see the IANA IPv4 Special-Purpose Address Registry (RFC 6890) */
const special4 = ranges(
  [
    ['0.0.0.0/8', 'this network'],
    ['10.0.0.0/8', 'private'],
    ['100.64.0.0/10', 'shared address space'],
    ['127.0.0.0/8', 'loopback'],
    ['169.254.0.0/16', 'link-local'],
    ['172.16.0.0/12', 'private'],
    ['192.0.0.0/24', 'protocol assignments'],
    ['192.0.2.0/24', 'documentation'],
    ['192.31.196.0/24', 'AS112'],
    ['192.52.193.0/24', 'AMT'],
    ['192.88.99.0/24', '6to4 relay'],
    ['192.168.0.0/16', 'private'],
    ['192.175.48.0/24', 'AS112'],
    ['198.18.0.0/15', 'benchmarking'],
    ['198.51.100.0/24', 'documentation'],
    ['203.0.113.0/24', 'documentation'],
    ['224.0.0.0/4', 'multicast'],
    ['240.0.0.0/4', 'reserved'],
  ],
  ipv4Value,
)

/** Inside 2000::/3, what is not global unicast. @see the IANA IPv6 Special-Purpose Address Registry */
const special6 = ranges(
  [
    ['2001::/32', 'Teredo'],
    ['2001::/23', 'protocol assignments'],
    ['2001:db8::/32', 'documentation'],
    ['2002::/16', '6to4'],
    ['2620:4f:8000::/48', 'AS112'],
    ['3fff::/20', 'documentation'],
  ],
  ipv6Value,
)

/** Outside 2000::/3 nothing is global unicast; these have a name. */
const named6 = ranges(
  [
    ['::/128', 'unspecified'],
    ['::1/128', 'loopback'],
    ['::ffff:0:0/96', 'IPv4-mapped'],
    ['::ffff:0:0:0/96', 'IPv4-translated'],
    ['::/96', 'IPv4-compatible'],
    ['64:ff9b::/96', 'NAT64'],
    ['64:ff9b:1::/48', 'local NAT64'],
    ['100::/64', 'discard-only'],
    ['5f00::/16', 'segment routing'],
    ['fc00::/7', 'unique local'],
    ['fe80::/10', 'link-local'],
    ['fec0::/10', 'site-local'],
    ['ff00::/8', 'multicast'],
  ],
  ipv6Value,
)

function within(value: bigint, list: readonly Range[], width: number): string | undefined {
  return list.find(({ base, bits }) => {
    const shift = BigInt(width - bits)
    return value >> shift === base >> shift
  })?.reason
}

const denied = (reason: string): EgressVerdict => ({ allowed: false, reason })
const globalUnicast = 1n // the first three bits of 2000::/3

/**
 * Whether an address is global unicast, thus may be called on somebody else's word. Everything special is denied: private,
 * loopback, link-local (where clouds keep their metadata), shared, documentation, multicast, and IPv6 forms that carry or
 * translate to an IPv4 address, whatever that address is. What is no plain address (also `127.1`, `0x7f000001`) is denied.
 */
export function checkAddress(ip: string): EgressVerdict {
  if (isIPv4(ip)) {
    const reason = within(ipv4Value(ip), special4, 32)
    return reason === undefined ? { allowed: true } : denied(reason)
  }
  if (ip.includes('%')) return denied('it has a zone')
  if (!isIPv6(ip)) return denied('it is no IP address')
  const value = ipv6Value(ip)
  if (value >> 125n !== globalUnicast) {
    return denied(within(value, named6, 128) ?? 'not global unicast')
  }
  const reason = within(value, special6, 128)
  return reason === undefined ? { allowed: true } : denied(reason)
}

/** What an operator means by a private network: not the link-local addresses where clouds keep their secrets. */
const ownNetworks = new Set(['private', 'loopback', 'unique local'])
/** Where clouds outside of the link-local range keep theirs. */
const metadata6 = ipv6Value('fd00:ec2::254')

/**
 * As {@link checkAddress}, for an address that a neighbour in a private network names, in a redirect: private networks are
 * allowed, link-local, shared and other special ranges are not.
 */
export function checkNamedAddress(ip: string): EgressVerdict {
  const verdict = checkAddress(ip)
  if (verdict.allowed || !ownNetworks.has(verdict.reason)) return verdict
  const isMetadata = isIPv6(ip) && ipv6Value(ip) === metadata6
  return isMetadata ? verdict : { allowed: true }
}
