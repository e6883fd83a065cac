import type { BusOptions } from '../messaging/index.ts'
import type { Settings } from './config/settings.ts'

/** What stands beside the transport of a bus, with its secrets resolved. */
export type BusExtras = Pick<BusOptions, 'outbox' | 'inbox' | 'confluent'>

/** Outbox, inbox and schema registry of the settings, as a bus takes them. @throws SECRET_NOT_FOUND */
export function busExtras(
  { outbox, inbox, ...settings }: Settings,
  reveal: (text: string) => string,
): BusExtras {
  const { url, ...more } = outbox ?? {}
  return {
    ...(outbox === undefined
      ? {}
      : { outbox: { ...more, ...(url === undefined ? {} : { url: reveal(url) }) } }),
    ...(inbox === undefined ? {} : { inbox: { url: reveal(inbox.url) } }),
    ...wireExtras(settings, reveal),
  }
}

/** The part of it that decides how messages look on the wire: every command that reads or writes them needs it. */
export function wireExtras(
  { schemaRegistry }: Pick<Settings, 'schemaRegistry'>,
  reveal: (text: string) => string,
): Pick<BusOptions, 'confluent'> {
  if (schemaRegistry === undefined) return {}
  const { url, auth, ...more } = schemaRegistry
  const proof =
    auth === undefined
      ? {}
      : 'token' in auth
        ? { auth: { token: reveal(auth.token) } }
        : { auth: { user: reveal(auth.user), password: reveal(auth.password) } }
  return { confluent: { ...more, url: reveal(url), ...proof } }
}
