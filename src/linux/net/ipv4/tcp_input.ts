/** net/ipv4/tcp_input.c, by what arrives. */

export * from './tcp_input/ack.ts'
export * from './tcp_input/close.ts'
export * from './tcp_input/conn_request.ts'
export * from './tcp_input/established.ts'
export * from './tcp_input/options.ts'
export * from './tcp_input/rcv.ts'
export * from './tcp_input/rto.ts'
export * from './tcp_input/state.ts'
export * from './tcp_input/transfer.ts'
