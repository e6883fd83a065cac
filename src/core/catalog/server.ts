import type { CatalogEntry } from './entry.ts'

/** Codes of the HTTP server and its API. */
export const serverCodes = {
  PORT_IN_USE: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'Another process listens on the port, so the server was not started and nothing else was touched.',
    fix: 'Stop the other process, or choose another port with --port.',
    example: 'treaty start --port 4400   # while another treaty runs there',
  },
  LISTEN_FAILED: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning:
      'The server could not listen on the address: it is not an address of this machine, or the port needs rights.',
    fix: 'Check --host and --port; ports below 1024 need special rights on most systems.',
    example: 'treaty start --host 203.0.113.7',
  },
  KEYS_REQUIRED: {
    exitCode: 5,
    status: 403,
    retryable: false,
    meaning:
      'The server was to listen on an address that others can reach, and no API keys are configured.',
    fix: 'Configure keys under server.keys, or keep to --host 127.0.0.1.',
    example: 'treaty start --host 0.0.0.0',
  },
  KEYS_INVALID: {
    exitCode: 2,
    status: 500,
    retryable: false,
    meaning:
      'The API keys are not usable: a name twice, an unknown scope, or a key that is too short to be safe.',
    fix: 'Give each key a name, its scopes (read, write, metrics) and at least 24 random characters.',
    example: 'keys: [{ name: ci, scopes: [red], key: secret://env/CI_KEY }]',
  },
  RATE_LIMIT_REACHED: {
    exitCode: 6,
    status: 429,
    retryable: true,
    meaning:
      'The caller has asked the API more often than it may; the headers RateLimit and Retry-After say when there is room again.',
    fix: 'Wait as long as Retry-After says; give each program a key of its own, for each key has a limit of its own.',
  },
  NOT_READY: {
    exitCode: 6,
    status: 503,
    retryable: true,
    meaning: 'The server answers, but the bus behind it is not open yet, or it is being closed.',
    fix: 'Try again in a moment; /health says when it is ready.',
  },
  ROUTE_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'There is nothing at this path.',
    fix: 'Look the path up in /openapi.json.',
    example: 'curl http://127.0.0.1:4400/api/stat',
  },
  METHOD_NOT_ALLOWED: {
    exitCode: 2,
    status: 405,
    retryable: false,
    meaning: 'The path exists, but not with this method; the header Allow lists those that do.',
    fix: 'Use a method that the header Allow lists.',
    example: 'curl -X DELETE http://127.0.0.1:4400/api/stats',
  },
  REQUEST_INVALID: {
    exitCode: 2,
    status: 400,
    retryable: false,
    meaning:
      'The request was understood as HTTP but not as a call of this API; each finding names the place.',
    fix: 'Correct what the findings name; /openapi.json has the form of each call.',
    example: 'curl http://127.0.0.1:4400/api/dead?limit=many',
  },
  REQUEST_TOO_LARGE: {
    exitCode: 2,
    status: 413,
    retryable: false,
    meaning: 'The body or the headers of the request are larger than the server takes.',
    fix: 'Send less at once.',
  },
  REQUEST_INCOMPLETE: {
    exitCode: 6,
    status: 408,
    retryable: true,
    meaning: 'The client took too long to send its request.',
    fix: 'Send the request again, without pauses.',
  },
  UNSUPPORTED_MEDIA_TYPE: {
    exitCode: 2,
    status: 415,
    retryable: false,
    meaning: 'The body has a content type that the route does not read.',
    fix: 'Send JSON with content-type: application/json.',
  },
  UNAUTHENTICATED: {
    exitCode: 5,
    status: 401,
    retryable: false,
    meaning: 'The route needs an API key, and the request carries none that is known.',
    fix: 'Send the key as authorization: Bearer KEY, or as x-api-key: KEY.',
  },
  SCOPE_MISSING: {
    exitCode: 5,
    status: 403,
    retryable: false,
    meaning: 'The API key is known, but it was not given the scope that this route needs.',
    fix: 'Use a key with that scope, or add the scope to this one.',
  },
  HOST_REFUSED: {
    exitCode: 5,
    status: 421,
    retryable: false,
    meaning:
      'The Host header names a host that this server does not answer for. A web page that points its own name at this machine (DNS rebinding) looks like that.',
    fix: 'Use the address that the server printed, or list the name under server.allowedHosts.',
    example: "curl -H 'host: evil.example' http://127.0.0.1:4400/api/stats",
  },
  ORIGIN_REFUSED: {
    exitCode: 5,
    status: 403,
    retryable: false,
    meaning:
      'The request comes from a page of another origin, or changes state without a key and without saying that it comes from the same origin (cross-site request forgery).',
    fix: 'Send an API key, or call from a page of this server.',
    example: 'curl -X POST http://127.0.0.1:4400/api/dead/ID/replay',
  },
  MODULE_INVALID: {
    exitCode: 2,
    status: 500,
    retryable: false,
    meaning:
      'A module that the configuration names under handlers, services or feeds is not there, cannot be loaded, or does not export what it must.',
    fix: 'Check the path; handlers export `handlers`, feeds export `run`.',
    example: 'handlers: [src/nope.ts]',
  },
  DEAD_LETTER_NOT_FOUND: {
    exitCode: 4,
    status: 404,
    retryable: false,
    meaning: 'No dead letter has this id: it was replayed, discarded, or its retention has passed.',
    fix: 'List what there is with treaty dead list.',
    example: 'treaty dead show 01990000-0000-7000-8000-000000000000',
  },
} as const satisfies Record<string, CatalogEntry>
