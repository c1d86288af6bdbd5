/* Every limit of the programs, in one place, each with its reason. A number that
 * a user can change has its default here and its name in conf.h. */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#define KIB 1024u
#define MIB (1024u * KIB)

/* ---- wire ---- */
/* The largest DATA payload that we offer: one read. A slow path gets smaller frames anyway
 * (PATH_FRAME_MS). */
#define FRAME_PAYLOAD_DEFAULT (128u * KIB)
/* Below it the header is over 0.6 %, above it a frame takes 8 ms of a 1 Gbit/s link. */
#define FRAME_PAYLOAD_MIN (4u * KIB)
#define FRAME_PAYLOAD_MAX (1u * MIB)
/* The largest payload of any frame but DATA: an ACK with 32 ranges is 528 bytes, an OPEN with
 * two 255-byte names 518. */
#define FRAME_CONTROL_MAX 1024u
/* Proxies in a row; a HELLO that has crossed so many is going in a circle. */
#define HOP_LIMIT 16u
/* Received ranges in one ACK: more gaps than that are rare, and the next ACK tells of them. */
#define ACK_RANGES_MAX 32u

/* ---- memory ---- */
/* Half of it is the first credit of SESSIONS_MAX_DEFAULT; small machines have it to spare. */
#define MEMORY_LIMIT_DEFAULT (256ull * MIB)
/* One session's largest window, and the queues of eight tunnels at a proxy. */
#define MEMORY_LIMIT_MIN (16ull * MIB)
/* Of each worker: a few large chunks are always in use, whatever it carries. */
#define MEMORY_WORKER_MIN (4u * MIB)
/* 1 TiB: more than a machine has, and its sessions still fit into 32 bits. */
#define MEMORY_LIMIT_MAX (1024ull * 1024 * MIB)
/* One read from a socket, and one frame at its largest. Measured over loopback, ingress and
 * egress together: .41 CPU-seconds per GB with 64 KiB, .37 with 128 KiB. */
#define CHUNK_LARGE (128u * KIB)
/* A payload up to this size is copied beside its neighbours instead of holding its chunk. */
#define COPYBREAK_BYTES 2048u
/* Chunks that they are copied into, at the most: of a session that holds its first credit (16 KiB)
 * one such chunk is partly consumed and one partly free. */
#define KEEP_CHUNK_BYTES (4u * KIB)
/* Free chunks kept per size class before memory goes back to the C library. */
#define CHUNK_SPARES 64u
/* Free memory at the heap's end before it goes back to the kernel: one session's whole window may
 * come and go. glibc's 128 KiB are two large chunks; a burst then costs 1.1 us a chunk in page
 * faults and brk(2), 0.02 us with this. */
#define HEAP_TRIM_BYTES (16u * MIB)

/* ---- subflows and listeners ---- */
/* What is put on a subflow in one turn is written when it comes to this: one large DATA frame
 * fills it, so that bulk costs one sendmsg a frame and bytes leave while they are in the cache. */
#define SUBFLOW_BATCH_BYTES (64u * KIB)
/* Headers, control payloads and small DATA of one batch: 180 frames of 64 bytes. */
#define SUBFLOW_OUT_BYTES (16u * KIB)
/* Pieces of memory in one sendmsg: 30 DATA frames that are not copied. */
#define SUBFLOW_PARTS_MAX 64u
/* DATA up to this size is copied beside its header: cheaper than two more pieces. */
#define SUBFLOW_COPY_BYTES 256u
/* Unsent bytes that the kernel may hold: two large frames. Less starves a fast link between two
 * turns of the loop, more is late binding lost. */
#define SUBFLOW_NOTSENT_BYTES (256u * KIB)
/* Reads from one subflow before the next has its turn, and before what was read is passed on: one,
 * while the bytes are still in the L2 cache. */
#define SUBFLOW_READS_MAX 1u
/* A read into less room is not worth its system call: a new chunk is taken. */
#define SUBFLOW_READ_MIN (16u * KIB)
/* How often a subflow with bytes outstanding is looked at for a stall: a getsockopt of 1 us, well
 * within the 45 ms it may take. */
#define SUBFLOW_LOOK_MS 10u
/* A stall is two RTTs and this without progress: a delayed ACK takes 40 ms and a jiffy. */
#define STALL_SLACK_MS 45u
/* The longest pause between two retransmissions of a subflow (TCP_RTO_MAX_MS), where the kernel
 * has it: a path that has returned is used again within so long, not after TCP's two minutes. */
#define SUBFLOW_RTO_MAX_MS 1000
/* Clients accepted before other work of the loop has its turn. */
#define ACCEPTS_MAX 64u
/* A burst of connections between two turns; the kernel cuts it to net.core.somaxconn. */
#define LISTEN_BACKLOG 4096
/* Log lines a second about rejected connections: a port scan must not fill a disk. */
#define REJECT_LINES_MAX 10u

/* ---- tunnels and sessions ---- */
/* A set of paths is one 64-bit word (session.ack_paths, tunnel.path_slots). */
#define PATHS_MAX 64u
/* Of one worker: a subflow that comes looks for its tunnel in a list. */
#define TUNNELS_MAX 1024u
/* With FIRST_CREDIT each this reserves half of the default memory limit. */
#define SESSIONS_MAX_DEFAULT 8192u
/* Sessions over the limit that wait for the answer to their RESET. */
#define SESSIONS_REFUSED_MAX 1024u
/* Ranges of finished ids in one worker: open sessions leave holes between them, so many (1 MiB)
 * nobody honest does. */
#define FINISHED_RANGES_MAX 65536u
/* What each tunnel may have of them whatever the others do: TUNNELS_MAX times that is 16 MiB. */
#define FINISHED_RANGES_SURE 1024u
/* Most requests and many replies fit into it, and thousands of sessions cost little. */
#define FIRST_CREDIT_BYTES (16u * KIB)
/* What one session may have under way at the most: 2 x rate x RTT (docs/protocol.md) of 1 Gbit/s at
 * 65 ms. */
#define WINDOW_MAX_BYTES (16u * MIB)
/* What a user may raise that to: 1 GiB is 400 ms at 20 Gbit/s and fits into 32 bits. */
#define WINDOW_CEILING_BYTES (1024u * MIB)

/* ---- a path's model (flow/path.c) ---- */
/* Until the first sample of its rate: what most links take in a few ms, and a slow one (1 Mbit/s)
 * in half a second. */
#define PATH_CAP_FIRST_BYTES (64u * KIB)
/* A path is far from so much RTT on. TCP's first window is ten segments: what is more on a far path
 * waits for a round trip, and holds up what the others carry; two of the ten are left to frames
 * without payload, which go alone. */
#define PATH_FAR_MS 12u
#define PATH_CAP_FIRST_FAR_BYTES (11u * KIB)
#define PATH_FRAME_FIRST_BYTES (16u * KIB)
/* Until its first probe has come back a path counts as so slow, beside others that are known. */
#define PATH_RTT_UNKNOWN_MS 1000u
/* A frame and its header fill one read at the other end: longer ones fall into two pieces there. */
#define FRAME_WHOLE_BYTES (CHUNK_LARGE - 24u)
/* In flight at the most one bandwidth-delay product and a queue: of another one while the rate
 * grows; when it has not grown by a quarter for so many round trips, of this part of it and not
 * less than so much time, but for the same part of it: a drop-tail queue is that long at least,
 * and would overflow. What is sent again after a loss stands behind that queue. */
#define PATH_FULL_ROUNDS 3u
#define PATH_QUEUE_PART 4u
#define PATH_QUEUE_MS 15u
/* A frame is at most so much of its path's time: it holds the head of the line for as long. */
#define PATH_FRAME_MS 2u
/* In flight at least so much time, so that a busy machine's 4 ms time slices leave no hole in a
 * link near RTT 0; but for fast paths not more bytes than this: 15 ms of 4 Gbit/s, and the worth
 * of eight ACKs. */
#define PATH_CAP_FLOOR_MS 15u
#define PATH_CAP_FLOOR_BYTES_MAX (8u * MIB)
/* How long a measurement counts: a base RTT until a changed route shows, a rate until a link that
 * has become slower does. */
#define PATH_RTT_WINDOW_MS 5000u
#define PATH_RATE_WINDOW_MS 1000u
/* A queue that stands is there all the time; what one ACK waits for a processor is not. */
#define PATH_BACK_WINDOW_MS 100u
/* A queue of ours stands when no RTT of so long, or of a round trip, was without it. */
#define PATH_OWN_WINDOW_MS 100u
/* When the cap is met and no queue stands for so long, that is no hiccup of the machine: the cap is
 * too small for what else keeps acknowledgements back, and grows, up to so much of itself and to
 * PATH_CAP_FLOOR_BYTES_MAX. */
#define PATH_SHORT_MS 500u
#define PATH_GAIN_PERCENT_MAX 250u
/* A busy path has a queue of ours all the time, and its base RTT would grow by that, and the cap
 * with it, with each window. So when no RTT was within an eighth of the base for so long, less than
 * the path itself holds is in flight for a moment (as BBR's ProbeRTT): of each window once. */
#define PATH_DRAIN_EVERY_MS 4000u
/* When acknowledgements queue behind what flows the other way, every RTT is longer than the cap
 * takes at the path's rate; the cap then lets less through, which lowers the rate, which lowers the
 * cap. So much longer, in percent, is more than the rate's errors; for so long after the last
 * sample that still counts, it is not a rate that has not come down yet. */
#define PATH_LONGER_PERCENT 130u
#define PATH_LONGER_MS 500u
/* Shorter intervals say more about the scheduling of processes than about the path. */
#define PATH_RATE_INTERVAL_MIN_US 500u
/* What is known to be late may be later still: it counts against a path up to this, */
#define PATH_DOUBT_MAX_MS 200u
/* and an eighth of it is forgotten every so often. A path that loses one packet in a hundred would
 * otherwise be trusted again, and spoil a request, every few seconds. */
#define PATH_DOUBT_DECAY_MS 2000u

/* ---- what does not arrive (flow/watch.c, flow/probe.c) ---- */
/* Bytes are late when they are so much over what their path needs: two time slices of a busy
 * machine. */
#define LATE_SLACK_MS 8u
/* A path stalls when nothing of it was acknowledged for its RTT and so much. */
#define PATH_STALL_SLACK_MS 25u
/* How often one looks at the most. */
#define WATCH_TICK_MS 2u
/* So much of what is sent for the first time may be sent again on suspicion: 1.6 %, and a burst
 * of two large windows of a short transfer. */
#define RESCUE_SHARE 64u
#define RESCUE_BURST_BYTES (256u * KIB)
#define WATCH_TAIL_BYTES (64u * KIB)
/* What is slow on another path goes out again on an idle one if that gains so much and a quarter.
 */
#define IDLE_GAIN_MS 5u
/* A path that stalls again within so long of the last time stays away for a while: 200 ms, doubling
 * each time to 1.5 s, so that it still carries its share within 3 s of being well. */
#define HOLD_MEMORY_MS 5000u
#define HOLD_FIRST_MS 200u
#define HOLD_MAX_MS 1500u
/* A path is parked when its RTT is three times its best and so much more, taken back at two and a
 * half: docs/protocol.md. The slack is above what scheduling on a busy machine adds. */
#define PARK_TENTHS 30u
#define UNPARK_TENTHS 25u
#define PARK_SLACK_MS 20u
/* Probes: while a path is out, while it is idle, of which tunnels, and when one is taken for
 * lost. */
#define PROBE_URGENT_MS 100u
#define PROBE_IDLE_MS 1000u
#define PROBE_USE_MS 2000u
#define PROBE_LOST_MS 1000u
#define PROBE_LOST_DOUBLINGS 3u /* 8 s: a longer path is none */

/* How far the weighted scheduler lets some paths run ahead of one that is full. */
#define SCHEDULER_LEAD_BYTES (1u * MIB)
/* A path that others have been heard after for so long carries no ACKs: it may have died. */
#define CONTROL_STALE_MS 15u
/* A session with so much under way is a long one: slower paths help it. Above most replies. */
#define BULK_BYTES (128u * KIB)
/* Paths whose arrival differs by less count as equal to the adaptive scheduler. */
#define SCHEDULER_SLACK_US 2000u

/* What waits at a proxy for the next hops of one tunnel and direction, before those who feed it
 * are paused: eight frames at their largest, enough to keep three hops busy between two turns of
 * the loop, and 1 MiB for both directions of a tunnel. */
#define RELAY_QUEUE_BYTES (512u * KIB)
/* Frames of one turn stay together on one hop for so many bytes: one system call for all. */
#define RELAY_BURST_BYTES (4u * KIB)
/* A hop that had no room makes up for so much of its share afterwards: what a socket buffer
 * swallows at once must not bend the ratios, what a slow hop never could carry must not count. */
#define RELAY_LAG_BYTES (512u * KIB)
/* Event ids that a relay remembers, to pass each on once although it comes on every subflow of the
 * neighbour: as many hops may die at once there (PATHS_MAX). One that is forgotten is passed on
 * again, and the ends repeat in vain what they sent. */
#define RELAY_EVENTS 64u
/* What one tunnel holds at a proxy at the most (both queues, and small frames of as much again in
 * their chunks): it sets how many tunnels the memory limit allows. */
#define RELAY_TUNNEL_BYTES (4u * RELAY_QUEUE_BYTES)

/* ---- a session ---- */
/* What a session may send before it is another's turn. */
#define SESSION_QUANTUM_BYTES (64u * KIB)
/* A read for a new frame wants at least so much room behind the last one in its chunk. */
#define FILL_ROOM_MIN_BYTES (16u * KIB)
/* The window doubles when all of it was consumed within two RTTs plus this: it covers what the
 * in-flight floors of the paths and a busy receiver add. */
#define WINDOW_SLACK_MS 40u
/* Answers to frames for finished sessions, per tunnel. */
#define STRAY_ANSWERS_PER_S 1000u
/* Beyond the memory limit, for bytes that were promised a place: then sessions are reset. */
#define MEMORY_HARD_SLACK_BYTES (32u * MIB)

/* ---- time (milliseconds) ---- */
#define ACK_DELAY_US 1000u /* an ACK waits at most so long for company */
/* or for so many bytes: each ACK wakes the sender, and a pair that wakes each other often is put
 * on one processor by the scheduler (20 Gbit/s over loopback instead of 26). */
#define ACK_BYTES (1u * MIB)
#define ACK_TWICE_BYTES (16u * KIB) /* an ACK of more than a message goes out on two paths */
#define ACK_ALONG_BYTES (16u * KIB) /* on a path with no more in flight it rides along at once */
#define RESEND_RESET_MS 200u	    /* an unanswered RESET, doubling to ASK_MAX_MS */
#define ASK_MIN_MS 200u		    /* a sender without credit asks, doubling */
#define ASK_MAX_MS 5000u	    /* far below what a NAT forgets, and no load */
#define TIMED_TICK_MS 25u	    /* how often sessions that wait for something are looked at */
#define HELLO_WAIT_MS 5000u	    /* an accepted connection must have said HELLO by then */
#define HELLO_ACK_WAIT_MS 60000u    /* a proxy answers only when its downstream has answered */
#define SUBFLOW_LINGER_MS 500u	    /* an orderly close lets what is queued go out for so long */
#define SUBFLOW_FINISH_MS 15000u    /* the same where the peer reads all: only for a dead one */
#define ACCEPT_RETRY_MS 100u	    /* out of descriptors: accepting is tried again after that */
#define CLIENT_WAIT_MS 10000u	    /* a client waits so long for the first path */
#define SESSION_WAIT_MS 30000u	    /* sessions outlive the loss of all paths for so long */
#define OPEN_WAIT_MS 10000u	    /* DATA may precede its OPEN by so much */
#define RESET_WAIT_MS 3000u	    /* bytes before a RESET may take so long to be delivered */
#define TOPO_WAIT_MS 5000u	    /* update_topo waits so long for the new addresses */
#define DRAIN_WAIT_MS 30000u	    /* `close` and SIGTERM let sessions finish for so long */
#define PING_EVERY_MS 1000u	    /* often enough for a hop's RTT, at 64 bytes each way */
#define SILENCE_MAX_MS 15000u	    /* a subflow that answers no ping for so long is dead */
#define CONNECT_WAIT_MS 10000u	    /* the egress gives the server so long to answer */
#define LINGER_LOOK_MS 5u	    /* how often a socket that is to be reset is looked at */
#define TICK_MS 20u		    /* how often a drain or a topology change is looked at */
#define REDIAL_MIN_MS 50u	    /* the first dial after a loss; doubles */
#define REDIAL_MAX_MS 1000u	    /* a neighbour that starts is found within so long */
#define WAIT_CEILING_MS 86400000u   /* no wait that a user sets is longer than a day */
#define CONTROL_WAIT_MS 10000u	    /* a comm connection must say something whole by then */
#define CONTROL_IDLE_MS 300000u	    /* a JSON connection may rest between requests: an operator */
#define CONTROL_LINGER_MS 500u	    /* input dropped after a last reply, so that it is read */
#define CONTROL_CLOSE_MS 500u	    /* replies under way may go out for so long at the end */
/* mpp_controller: above 2 x TOPO_WAIT_MS, which update_topo may take, and within one's patience. */
#define CONTROLLER_WAIT_MS 15000u

/* A TCP connect to a neighbour that was there before: a SYN and its repetition after 1 s. TCP's
 * own pauses grow; a new attempt finds a path that has returned within so long. Four times the last
 * known RTT when that is more, up to DIAL_WAIT_MAX_MS, which is also what a first attempt has: two
 * lost SYNs (1 + 2 s) and a long way. */
#define DIAL_WAIT_MS 1200u
#define DIAL_WAIT_MAX_MS 5000u
/* Beside a stalled subflow a fresh one is dialled so often, and lives for so long (or 4 RTTs):
 * what has stalled for less than this comes back by TCP's own means. */
#define FRESH_DIAL_MS 500u

/* ---- counts ---- */
#define DESCRIPTORS_LOOK_EVERY 8u /* accepted clients; fewer than are reserved */
#define DESCRIPTORS_RESERVED 16u  /* for the comm socket, when all others are used up */
#define KEY_BYTES_MIN 16u	  /* a shorter key could be guessed */
#define KEY_BYTES_MAX 256u	  /* eight times the MAC that it is for */
/* One thread fills the links of most sites; a second one costs memory and is asked for. */
#define WORKERS_DEFAULT 1u
#define WORKERS_MAX 64u		     /* more than the processors of most machines */
#define RATIO_MAX 1000000u	     /* a Tbit/s in Mbit/s; times PATHS_MAX it fits into 32 bits */
#define CONTROL_CONNECTIONS_MAX 64u  /* operators and monitors; 4 MiB with CONTROL_LINE_MAX each */
#define CONTROL_LINE_MAX (64u * KIB) /* PATHS_MAX addresses with names of 255 bytes are 20 KiB */
/* What mpp_controller takes as one reply: 100,000 sessions of 300 bytes, and no end of memory
 * for something that is no module. */
#define CONTROL_REPLY_MAX (32u * MIB)
#define HELLO_PENDING_MAX 256u /* accepted connections that have not said HELLO */

/* ---- words ---- */
/* Why something failed, for a reply or a message: one line, with a name in it. */
#define WHY_BYTES_MAX 256u
/* One line: enough for any message of ours with a name in it, and well below PIPE_BUF (4096),
 * so that lines of several threads or processes never mix in a pipe. */
#define LOG_LINE_MAX 1024u

/* ---- the multicast relay (src/mcast) ---- */

/* Slots of the board, and sockets: below 20,000 open files of the supervisor. */
#define RULES_MAX 16384u
/* Of one rule: its JSON fits into one message to a worker. */
#define RULE_OUTPUTS_MAX 512u

/* Of the traffic generator and the sink: a socket each, as rules of a relay. */
#define TRAFFIC_STREAMS_MAX RULES_MAX
/* How far a packet may come behind others and still be told from a copy: 65 ms at a million packets
 * a second, 20 s at 3000. 8 KiB of bits for each stream. */
#define TRAFFIC_WINDOW_PACKETS 65536u

#endif
