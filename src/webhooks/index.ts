/** Webhooks: signatures, receiving, sending. The door `treatyjs/webhooks`. */

export type { HeaderFields } from './header-fields.ts'
export type {
  HmacScheme,
  RefusalReason,
  Scheme,
  SchemeName,
  SignOptions,
  Verdict,
  VerifyOptions,
} from './scheme.ts'
export { sign, verify } from './verify.ts'
