/** net/ipv4/inet_connection_sock.c, by concern. */

export * from './inet_connection_sock/bind.ts'
export * from './inet_connection_sock/destroy.ts'
export * from './inet_connection_sock/listen.ts'
export * from './inet_connection_sock/rcv_saddr.ts'
export * from './inet_connection_sock/route.ts'
export * from './inet_connection_sock/timers.ts'
