// The door `treatyjs/testing`. Nothing here imports a test runner when it is loaded.
export { seededRandom } from '../core/random.ts'
export type {
  ChildTransport,
  ConnectOptions,
  Effort,
  TransportUnderTest,
} from './conformance/behaviour.ts'
export type {
  DescribeTransportOptions,
  OpenTransport,
  TestFunction,
  TestRunner,
} from './conformance/describe-transport.ts'
export { describeTransport } from './conformance/describe-transport.ts'
export type { FakeClock } from './fake-clock.ts'
export { fakeClock } from './fake-clock.ts'
