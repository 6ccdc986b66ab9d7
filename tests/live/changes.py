# SPDX-License-Identifier: MIT
"""
In: nothing. Out: small changes of the sources, each of which takes out a
behaviour, and the scenario that must fail then. Must never break more than the
behaviour it names: a program that does not even start proves nothing.
"""
import collections

# old is there exactly once in the file; it is replaced by new.
Change = collections.namedtuple("Change", "takes_out scenario file old new")

CHANGES = [
    Change("a new key is acquired after a reset",
           "key-reset", "libmsp/latch.c", """\
	if (!guid)
		return acquire(l, now);
""", """\
	if (!guid && l->key) {
		wait_for_poll(l, now);
		return 0;
	}
	if (!guid)
		return acquire(l, now);
"""),
    Change("a key that the host no longer takes is dropped",
           "disk-moved-to-another-vm", "libmsp/latch.c", """\
	if (l->key) {
		msp_latch_set_key(l, NULL);
		set_state(l, MSP_LATCH_LOST);
	}
""", ""),
    Change("the key on disk is used again",
           "mspd-killed", "libmsp/latch.c", """\
	if (!l->store)
		return false;
""", """\
	if (l->store)
		return false;
"""),
    Change("a key file that is refused is named",
           "key-file-torn", "libmsp/latch.c", """\
	if (rc != MSP_ERR_NOENT)
		warn_of_file(""", """\
	if (rc != MSP_ERR_NOENT && l->started_ms == 0)
		warn_of_file("""),
    Change("a failed poll keeps the key",
           "fault-status-nonsense", "libmsp/latch.c", """\
	set_failure(l, "Failed to get key status - ", info, rc);
""", """\
	set_failure(l, "Failed to get key status - ", info, rc);
	set_key(l, NULL);
"""),
    Change("there is a wait after a failed poll",
           "fault-status-storm", "libmsp/latch.c", """\
	set_failure(l, "Failed to get key status - ", info, rc);
	wait_for_poll(l, now, true);
""", """\
	set_failure(l, "Failed to get key status - ", info, rc);
	l->next_ms = now.boot_ms;
	l->step = STEP_WAIT;
"""),
    Change("the host's time is taken over anew",
           "fault-clock", "libmsp/latch.c", """\
	if (l->synced && is_young(l, now) && !has_jumped(l, now, host))
""", """\
	if (l->synced)
"""),
    Change("the key that the host names is the one used",
           "vm-cloned", "libmsp/latch.c", """\
	if (!l->key || !msp_guid_equal(guid, msp_key_guid(l->key)))
""", """\
	if (!l->key)
"""),
    Change("a key is on disk before it is attested",
           "attest-answer-lost", "libmsp/latch_files.c", """\
	return msp_keystore_stage(l->store, l->pending, &l->staged, info);
""", """\
	(void)info;
	return 0;
"""),
    Change("a host that names no key is asked for one",
           "host-restart-without-state", "libmsp/latch.c", """\
	if (!guid)
		return acquire(l, now);
""", """\
	if (!guid && l->key) {
		wait_for_poll(l, now);
		return 0;
	}
	if (!guid)
		return acquire(l, now);
"""),
    Change("a key that the host has replaced is dropped",
           "fault-guid-changed", "libmsp/latch.c", """\
	if (l->key) {
		msp_latch_set_key(l, NULL);
		set_state(l, MSP_LATCH_LOST);
	}
""", ""),
    Change("a key that a reset has superseded is removed",
           "key-reset", "libmsp/latch_files.c", """\
	rc = l->store ? msp_keystore_prune(""", """\
	rc = !l->store ? msp_keystore_prune("""),
    Change("a key that may be another machine's is not removed",
           "vm-cloned", "libmsp/keystore_sweep.c", """\
	       !msp_key_incarnation(key, &old) || old < new;
""", """\
	       !msp_key_incarnation(key, &old) || old <= new;
"""),
    Change("a key whose attestation is refused is not kept",
           "fault-attest-refused", "libmsp/latch_files.c", """\
			remove_file(l, guid);
		} else {
""", """\
			memcpy(l->unsure, guid, sizeof(l->unsure));
		} else {
"""),
    Change("a key file must hold the guid it is named by",
           "key-file-of-another-vm", "libmsp/keystore.c", """\
	if (msp_guid_equal(msp_key_guid(*out), guid))
		return 0;
""", """\
	if (guid)
		return 0;
"""),
    Change("a whole call to the host has a limit",
           "fault-status-drip", "libmsp/channel.c", """\
		if (now.boot_ms < ch->deadline)
""", """\
		if (now.boot_ms < MSP_NEVER)
"""),
    Change("a connection with bytes left over is not used again",
           "fault-imds-lengths", "libmsp/client.c", """\
	return c->phase == PHASE_DONE && c->fd >= 0 && !c->deaf && !c->excess &&
	       !owed(c) && !unsent(c) && msp_http_keeps(&c->http);
""", """\
	return c->phase == PHASE_DONE && c->fd >= 0 && !c->deaf &&
	       !owed(c) && !unsent(c) && msp_http_keeps(&c->http);
"""),
    Change("HostGAPlugin has the rules of WireServer",
           "hostga-follows-wireserver", "libmsp/keystatus.c", """\
	case MSP_ENDPOINT_WIRESERVER:
	case MSP_ENDPOINT_HOSTGA:
		return &status->wireserver_item;
""", """\
	case MSP_ENDPOINT_WIRESERVER:
		return &status->wireserver_item;
	case MSP_ENDPOINT_HOSTGA:
		break;
"""),
    Change("a byte order mark is skipped",
           "fault-status-encoding", "libmsp/keystatus.c", """\
		.flags = MSP_JSON_BOM,
""", """\
		.flags = 0,
"""),
    Change("a channel that is off is off whatever the rules say",
           "channel-off-and-on", "libmsp/keystatus.c", """\
	if (!e->enabled || !msp_json_true(e->enabled) || !e->rules)
""", """\
	if (!e->enabled || !e->rules)
"""),
    Change("version 1.0 protects both endpoints",
           "status-version-1", "libmsp/keystatus.c", """\
	status->enabled = true;
	status->wireserver = MSP_MODE_ENFORCE;
""", """\
	status->enabled = true;
	status->wireserver = MSP_MODE_DISABLED;
"""),
    Change("audit lets everybody in",
           "enforce-to-audit", "libmsp/decision.c", """\
	if (out->verdict == MSP_DENY && rules->mode == MSP_MODE_AUDIT)
		out->verdict = MSP_ALLOW_AUDITED;
""", ""),
    Change("WireServer is for root whatever the rules say",
           "wireserver-audit-is-for-root", "libmsp/decision.c", """\
	else if (!elevated && endpoint != MSP_ENDPOINT_IMDS)
""", """\
	else if (!elevated && endpoint == MSP_ENDPOINTS)
"""),
    Change("a request is signed with the newest key",
           "key-reset", "mspd/forward.c", """\
	if (p->signer_generation == p->held->generation)
""", """\
	if (p->signer)
"""),
    Change("a POST is never sent twice",
           "fault-imds-closed", "mspd/forward.c", """\
	return !call->exempt && idempotent(call->head.method);
""", """\
	return !call->exempt;
"""),
    Change("a request is signed with the newest key",
           "key-reset-in-flight", "mspd/forward.c", """\
	if (p->signer_generation == p->held->generation)
""", """\
	if (p->signer)
"""),
    Change("a request the host did not get is an error",
           "host-down-ten-minutes", "mspd/forward.c", """\
			 rc == MSP_ERR_SYS || rc == MSP_ERR_CLOSED ? 502 : 503);
""", """\
			 rc == MSP_ERR_SYS || rc == MSP_ERR_CLOSED ? 200 : 503);
"""),
    Change("nothing is redirected before there is a key",
           "mspd-before-host", "mspd/keeper.c", """\
	if (!k->latched_once)
		return MSP_REDIRECT_OFF;
""", ""),
    Change("an endpoint that is switched off is not redirected",
           "imds-disabled-alone", "mspd/keeper.c", """\
	case MSP_MODE_DISABLED:
		break;
	}
	return MSP_REDIRECT_OFF;
""", """\
	case MSP_MODE_DISABLED:
		break;
	}
	return MSP_REDIRECT_AUDIT;
"""),
    Change("nothing is redirected before there is a key",
           "enable-on-existing-vm", "mspd/keeper.c", """\
	if (!k->latched_once)
		return MSP_REDIRECT_OFF;
""", ""),
    Change("the end does not wait for ever",
           "fault-stop", "mspd/main.c", """\
	if (mspd_server_connections(d->server) == 0 || now >= d->drain_until)
""", """\
	if (mspd_server_connections(d->server) == 0)
"""),
    Change("requests are dated by the host's clock",
           "fault-clock", "mspd/policy.c", """\
	if (!atomic_load(&slot->clock_known))
		return now.wall_s;
""", """\
	if (slot)
		return now.wall_s;
"""),
    Change("only rules that enforce need a key",
           "audit-without-a-key", "mspd/proxy.c", """\
	return !call->exempt && !call->policy->key &&
	       call->policy->mode[call->endpoint] == MSP_MODE_ENFORCE;
""", """\
	return !call->exempt && !call->policy->key;
"""),
    Change("the last good rules stay in force",
           "invalid-profile", "mspd/ruleset.c", """\
	if (bad && !host)
""", """\
	if (bad && close_endpoint(set, endpoint, ""))
"""),
    Change("rules are compared, not their ids",
           "profile-changed-under-its-id", "mspd/ruleset.c", """\
	return msp_profile_equal(a, b);
""", """\
	return strcmp(msp_profile_id(a), msp_profile_id(b)) == 0;
"""),
    Change("other rules replace those in force",
           "profile-replaced-by-another", "mspd/ruleset.c", """\
	if (set->rules[endpoint] && same(set->profile[endpoint], profile))
		return false;
""", """\
	if (set->rules[endpoint] || same(set->profile[endpoint], profile))
		return false;
"""),
    Change("a default access that changes is a change",
           "default-access-deny", "mspd/ruleset.c", """\
	if (set->rules[endpoint] && same(set->profile[endpoint], profile))
		return false;
""", """\
	if (set->rules[endpoint] || same(set->profile[endpoint], profile))
		return false;
"""),
    Change("the agent tells the incarnation of its key",
           "incarnation-raised-twice", "mspd/status.c", """\
	if (states->has_incarnation) {
""", """\
	if (states->has_incarnation && states->incarnation < 2) {
"""),
    Change("what went to the host directly is cut off when enforced",
           "audit-to-enforce", "mspd/sweeper.c", """\
			flags[i] = MSP_SWEEP_DESTROY;
""", """\
			flags[i] = 0;
"""),
    Change("a kept connection that was closed is tried again",
           "fault-imds-closed", "mspd/upstream.c", """\
		up->reused = true;
""", ""),
    Change("a host that is silent is waited for as long as configured",
           "fault-imds-hang", "mspd/upstream.c", """\
	opts.first_byte_ms = from->timeout_ms;
""", ""),
    Change("keyIncarnationId only goes up",
           "refused-by-arm", "examples/msp-host/arm/model.c", """\
	       settings->incarnation >= draft->vm->incarnation ||
	       refuse_incarnation(r);
""", """\
	       settings->incarnation >= draft->vm->incarnation || r;
"""),
    Change("a model without settings is one without MSP",
           "model-put-without-settings", "examples/msp-host/arm/model.c", """\
	vm->enabled = settings->enabled;
""", """\
	vm->enabled |= settings->enabled;
"""),
    Change("the view is Disabled while the channel is off",
           "instance-view", "examples/msp-host/arm/view.c", """\
	if (!vm->enabled || !text)
""", """\
	if (!text)
"""),
    Change("no second key is handed out while one is latched",
           "key-file-lost", "examples/msp-host/data/secure_channel.c", """\
	if (!vm->enabled || !vm->offers_key || vm->latched) {
""", """\
	if (!vm->enabled || !vm->offers_key) {
"""),
    Change("a report that was not taken is a failure",
           "report-needs-a-key", "examples/msp-host/report/report.c", """\
	return good && posted;
""", """\
	return good;
"""),
    Change("the state holds the reference of a profile",
           "host-restart-with-state", "examples/msp-host/vm/state_json.c", """\
	put_json(out, "reference", &item->reference);
""", ""),
    Change("the host tells the key of another VM from an unknown one",
           "key-of-a-neighbour", "examples/msp-host/vm/verify.c", """\
	if (owner && owner != call->vm)
		return REASON_OTHER_VM;
""", ""),
    Change("a wrong signature is seen",
           "key-file-with-a-wrong-key", "examples/msp-host/vm/verify.c", """\
	if (!valid)
		return bad(fault(call, signer, value));
""", ""),
]
