import type { BrowseQuery } from '../transport.ts'

/** Queues that replies go to are made as they are needed, and stand in no contract. */
const replyPrefix = 'treaty.reply.'

/** True where a query asks for what is on this address. */
export function isAsked({ addresses }: BrowseQuery, address: string): boolean {
  return addresses === undefined || addresses.includes(address) || address.startsWith(replyPrefix)
}
