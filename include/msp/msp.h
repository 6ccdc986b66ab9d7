/* SPDX-License-Identifier: MIT */
/*
 * msp.h - everything: the in-guest half of the Metadata Security Protocol.
 *
 * core   - error, text, key, signer, profile, finding, lint, rules, request,
 *          caller, decision, keystatus: pure computation
 * host   - client, channel, keystore, latch, document, session: talk to the
 *          endpoints; clock, date
 * kernel - redirect, peer: eBPF
 *
 * "spec 5.4" in comments is a section of the specification of the protocol,
 * and Q12 a row of COMPATIBILITY in mspd(8).
 */
#ifndef MSP_MSP_H
#define MSP_MSP_H

#include <msp/caller.h>
#include <msp/channel.h>
#include <msp/client.h>
#include <msp/clock.h>
#include <msp/date.h>
#include <msp/decision.h>
#include <msp/document.h>
#include <msp/endpoint.h>
#include <msp/error.h>
#include <msp/explain.h>
#include <msp/finding.h>
#include <msp/key.h>
#include <msp/keystatus.h>
#include <msp/keystore.h>
#include <msp/latch.h>
#include <msp/lint.h>
#include <msp/peer.h>
#include <msp/profile.h>
#include <msp/redirect.h>
#include <msp/request.h>
#include <msp/rules.h>
#include <msp/session.h>
#include <msp/signer.h>
#include <msp/text.h>
#include <msp/version.h>

#endif
