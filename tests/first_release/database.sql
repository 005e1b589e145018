-- Made by the release of commit b6eb1dc: its member projected log.jsonl.gz. From pg_dump --inserts.
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET client_min_messages = warning;

CREATE SCHEMA projector;

CREATE TABLE projector.dead_letters (
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    record_at timestamp with time zone,
    key bytea,
    value bytea NOT NULL,
    reason text NOT NULL,
    field text,
    died_at timestamp with time zone DEFAULT now() NOT NULL,
    value_hash bytea GENERATED ALWAYS AS (sha256(value)) STORED NOT NULL,
    CONSTRAINT dead_letters_check CHECK (((partition >= 0) AND ("offset" >= 0))),
    CONSTRAINT dead_letters_reason_check CHECK ((reason <> ''::text))
);

CREATE TABLE projector.large_rows (
    row_id uuid NOT NULL,
    delegation_id text NOT NULL
);

CREATE TABLE projector.parked (
    seq bigint NOT NULL,
    topic text NOT NULL,
    partition integer NOT NULL,
    "offset" bigint NOT NULL,
    delegation_id text NOT NULL,
    kind text NOT NULL,
    status text,
    at timestamp with time zone NOT NULL,
    result_preview text,
    error_detail text,
    parked_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT parked_check CHECK (((partition >= 0) AND ("offset" >= 0))),
    CONSTRAINT parked_kind_check CHECK ((kind = ANY (ARRAY['status'::text, 'heartbeat'::text]))),
    CONSTRAINT parked_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'dispatched'::text, 'in_progress'::text, 'completed'::text, 'failed'::text, 'stuck'::text]))),
    CONSTRAINT parked_status_with_kind CHECK (((kind = 'status'::text) = (status IS NOT NULL)))
)
WITH (autovacuum_vacuum_scale_factor='0.02');

ALTER TABLE projector.parked ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME projector.parked_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE projector.positions (
    topic text NOT NULL,
    partition integer NOT NULL,
    next_offset bigint NOT NULL,
    owner uuid,
    topic_id text,
    generation integer,
    member text,
    claimed_at timestamp with time zone,
    moved_at timestamp with time zone,
    record_at timestamp with time zone,
    CONSTRAINT positions_next_offset_check CHECK ((next_offset >= 0)),
    CONSTRAINT positions_partition_check CHECK ((partition >= 0))
)
WITH (fillfactor='50', autovacuum_vacuum_scale_factor='0', autovacuum_vacuum_threshold='1000', vacuum_truncate=off);

CREATE TABLE public.delegations (
    delegation_id text NOT NULL,
    caller_id uuid NOT NULL,
    callee_id uuid NOT NULL,
    task_preview text NOT NULL,
    status text DEFAULT 'queued'::text NOT NULL,
    last_heartbeat timestamp with time zone,
    deadline timestamp with time zone DEFAULT (now() + '06:00:00'::interval) NOT NULL,
    result_preview text,
    error_detail text,
    retry_count integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    idempotency_key text,
    CONSTRAINT delegations_status_check CHECK ((status = ANY (ARRAY['queued'::text, 'dispatched'::text, 'in_progress'::text, 'completed'::text, 'failed'::text, 'stuck'::text])))
)
WITH (fillfactor='70', autovacuum_vacuum_scale_factor='0.02');

COMMENT ON TABLE public.delegations IS 'One row a delegation; made by the delegations projector.';

CREATE TABLE public.projector_schema_migrations (
    version bigint NOT NULL,
    dirty boolean NOT NULL
);

INSERT INTO projector.dead_letters VALUES
	('activity-log-of-the-first-release', 0, 2, '2025-05-05 10:00:40.727+00', '\xfffe', '\x7b226f70223a202275222c20226166746572223a207b226964223a202266336231376166302d316265372d343363662d386238302d623832386533616236323833222c2022776f726b73706163655f6964223a202232666633633233632d396332662d343732332d626565612d366665313966613430646436222c202261637469766974795f74797065223a202264656c65676174696f6e222c2022736f757263655f6964223a202236616332366165302d376332632d346138372d623932622d633535326535376637363931222c20227461726765745f6964223a202266326532303534642d306537312d343937612d616135302d623936666539306662363531222c20226d6574686f64223a202244656c6567617465222c2022726571756573745f626f6479223a207b2264656c65676174696f6e5f6964223a2022686f7374696c652d36346239636231632d656330332d346536622d613537392d356331383938343466343736222c20227461736b223a20226e6f6e65227d2c2022726573706f6e73655f626f6479223a206e756c6c2c2022737461747573223a202270656e64696e67222c20226572726f725f64657461696c223a206e756c6c2c20226964656d706f74656e63795f6b6579223a206e756c6c2c2022637265617465645f6174223a2022323032352d30352d30355431303a30303a34302e3732373131335a227d2c2022736f75726365223a207b2274735f6d73223a202231373737393735323030313233227d7d', 'unknown method "Delegate": expected delegate, delegate_result or heartbeat', 'method', '2026-11-26 20:31:51.527837+00', DEFAULT),
	('activity-log-of-the-first-release', 0, 34, '2025-05-05 10:03:45.608+00', '\xfffe', '\x7b226265666f7265223a6e756c6c2c226166746572223a7b226964223a2230353930376664312d643739642d343661332d613239342d386266656564633436666239222c22776f726b73706163655f6964223a2266386539363433312d373363632d343639302d393333642d346236336130646365363034222c2261637469766974795f74797065223a2264656c65676174696f6e222c22736f757263655f6964223a2233626466616536382d643262342d346434662d393239332d613830373536666263326631222c227461726765745f6964223a2235646234343734312d613064302d346336322d396439382d613437343761336666333131222c226d6574686f64223a2264656c6567617465222c22726571756573745f626f6479223a7b2264656c65676174696f6e5f6964223a22686f7374696c652d62633665396435662d333862652d346365332d393466632d393461343234386336666136222c227461736b223a226e6f6e65227d2c22726573706f6e73655f626f6479223a6e756c6c2c22737461747573223a2270656e64696e67222c226572726f725f64657461696c223a6e756c6c2c226964656d706f74656e63795f6b6579223a6e756c6c2c22637265617465645f6174223a313737373937353230303132337d2c22736f75726365223a7b2276657273696f6e223a22332e352e302e46696e616c222c22636f6e6e6563746f72223a22706f737467726573716c222c226e616d65223a22706c6174666f726d222c2274735f6d73223a313734363433393432353630342c22736e617073686f74223a2266616c7365222c226462223a22706c6174666f726d222c22736368656d61223a227075626c6963222c227461626c65223a2261637469766974795f6c6f6773222c226c736e223a31323232353037353937393234397d2c227472616e73616374696f6e223a6e756c6c2c226f70223a2263222c2274735f6d73223a313734363433393432353630367d', 'created_at must be a time as text: found 1777975200123', 'created_at', '2026-11-26 20:31:51.527837+00', DEFAULT),
	('activity-log-of-the-first-release', 2, 14, '2025-05-05 10:00:28.572+00', '\x7b226964223a2231227d', '\x7b226f70223a202275222c20226166746572223a207b226964223a202261316665623632342d396466322d343235662d386266372d613462646334353832373266222c2022776f726b73706163655f6964223a202239393836343865302d313364352d343136662d623263332d323434346134386331643563222c202261637469766974795f74797065223a202264656c65676174696f6e222c2022736f757263655f6964223a202261366361663461332d343130322d346165642d393465662d313235613235626461363539222c20227461726765745f6964223a206e756c6c2c20226d6574686f64223a202264656c6567617465222c2022726571756573745f626f6479223a207b2264656c65676174696f6e5f6964223a2022686f7374696c652d37623766656334622d303333312d346561642d613232392d333061653931353864346138222c20227461736b223a20226e6f6e65227d2c2022726573706f6e73655f626f6479223a206e756c6c2c2022737461747573223a202270656e64696e67222c20226572726f725f64657461696c223a206e756c6c2c20226964656d706f74656e63795f6b6579223a206e756c6c2c2022637265617465645f6174223a2022323032352d30352d30355431303a30303a32382e3537323636385a227d2c2022736f75726365223a207b2274735f6d73223a20747275657d7d', 'target_id is missing', 'target_id', '2026-11-26 20:31:51.527837+00', DEFAULT);

INSERT INTO projector.large_rows VALUES
	('08ab1715-1caa-4c48-b402-52a634aa4a20', 'e42af0ad-88ad-4972-91ce-e715f45eaf1c'),
	('1fcc9634-a43b-4368-ae77-1bd6adfa09b0', '1617643b-634d-4952-a2e8-fec0ed19557a'),
	('55848bff-2045-4643-bb24-6b4794447857', 'bdf2e077-8dc1-443e-a97f-65bd73474aa9'),
	('9474031b-7f26-444b-9828-9fcd59a54a7b', 'dlg-c3baea913deef86'),
	('973f7986-26b1-4ffc-870d-710920859634', '7691b06f-6555-4bfe-b8c9-817af8be8831'),
	('ade25655-8dc5-48c6-a2c8-1c324417c530', '55e4615b-1f8e-4521-89ef-f2b4a4de7a8d'),
	('ae3a2b7f-dfe0-4893-b3ae-d0b6c7ac1491', '9e1a8ef4-f341-407a-83f7-3f16dbf4a8b2'),
	('b555b9fa-771f-472a-a53f-387fad7b4176', 'e42af0ad-88ad-4972-91ce-e715f45eaf1c'),
	('c0aed9c5-9d6b-423f-b36b-96a0692fd360', 'dlg-8ddcf83f0d1ab56'),
	('c1d6023d-7c13-4267-bbf2-a7f582b85bb8', '3f665ede-f106-47ce-81fc-069e7a609683'),
	('d70a39d1-33dc-477f-b179-f2d2e48b9662', '3f665ede-f106-47ce-81fc-069e7a609683'),
	('e77ffe48-d0a6-4c17-9556-585ea997f351', 'd58dcdb4-6b44-4806-8b5a-b3ee4265bb31');

INSERT INTO projector.parked OVERRIDING SYSTEM VALUE VALUES
	(1, 'activity-log-of-the-first-release', 2, 2, 'c8b007ee-4d82-4eac-ab62-86cd3672d6ae', 'heartbeat', NULL, '2025-05-05 10:00:08.783577+00', NULL, NULL, '2026-11-26 20:31:51.527837+00'),
	(2, 'activity-log-of-the-first-release', 2, 26, 'c8b007ee-4d82-4eac-ab62-86cd3672d6ae', 'status', 'completed', '2025-05-05 10:00:42.965835+00', 'e an book the metrics naïve French 👩‍👩‍👧‍👦 check back\slash new
line tab	 customer report café check review explain the review collect collect “quoted” draft list Ω≈ç 日本語の要約 regression aus answer quarterly Kö', NULL, '2026-11-26 20:31:51.527837+00'),
	(3, 'activity-log-of-the-first-release', 2, 73, '452e704d-607a-4732-b5c2-e229862fe231', 'status', 'completed', '2025-05-05 10:02:17.47093+00', '👧‍👦 customer summarise three réviser a prices report for answer tab	 sources Köln Köln √ into French report back\slash the answer open compare réviser tests into “quoted” new
line request book check sources into 👩‍👩‍👧‍👦 the report room the naïve tests naïve please explain réviser request answer into Köln Ω≈ç pull French √ answer 👩‍👩‍👧‍👦 into request aus aus tests sources list find answer new
line a back\slash Köln answer for request collect a please quarterly pull compare explain find report review aus 日本語の要約 compare request request find collect naïve 👩‍👩‍👧‍👦 Köln prices ', NULL, '2026-11-26 20:31:51.527837+00');

INSERT INTO projector.positions VALUES
	('activity-log-of-the-first-release', 0, 36, NULL, '3466bb99-9430-4105-9fa4-fb981dd9c157', 1, NULL, '2026-11-26 20:31:51.492916+00', '2026-11-26 20:31:51.547097+00', '2025-05-05 10:03:49.509+00'),
	('activity-log-of-the-first-release', 1, 67, NULL, '3466bb99-9430-4105-9fa4-fb981dd9c157', 1, NULL, '2026-11-26 20:31:51.495273+00', '2026-11-26 20:31:51.547123+00', '2025-05-05 10:06:00.261+00'),
	('activity-log-of-the-first-release', 2, 86, NULL, '3466bb99-9430-4105-9fa4-fb981dd9c157', 1, NULL, '2026-11-26 20:31:51.495855+00', '2026-11-26 20:31:51.547133+00', '2025-05-05 10:04:26.106+00');

INSERT INTO public.delegations VALUES
	('''12b92a01-000b-45f9-bd65-2135', '6513270e-269e-4d37-b2a7-4de452e6b438', '9531985d-5d9d-49f8-9818-e811892f902b', '�', 'completed', '2025-05-05 10:00:54.146174+00', '2025-05-05 16:00:45.088872+00', 'n metrics Köln review réviser check Ω≈ç‮rtl‬ quarterly French summarise list compare three Fren� explain Grüße �', NULL, 0, '2025-05-05 10:00:45.088872+00', '2025-05-05 10:01:17.073087+00', NULL),
	('03a56cc1-057a-40b2-a188-287e8c5c715f', '8e81973e-0bec-47b0-b898-d190f9ebdacc', '9531985d-5d9d-49f8-9818-e811892f902b', '🚀 aus open draft three Grüße prices check for metrics new
line compare translate back\slash back\slash aus naïve open draft réviser “quoted” 🚀 metrics summarise pull the 👩‍👩‍👧‍👦 Grüße open tests metrics back\slash draft sources check into review request check an regression 日本語の要約 for café café Grüße open réviser draft check points answer the Ω≈ç Ω≈ç compare regression tab	 naïve 日本語の要約 tab	 Ω≈ç naïve back\slash Ω≈ç room new
line 🚀 aus points Grüße aus tab	 customer an sources sources réviser draft the translate √ please request tab	 “quoted” draft prices French customer 👩‍👩‍👧‍👦 日本語の要約 the “quoted” back\slash sources 🚀 draft request 日本語の要約 for naïve customer collect review tests 日本語の要約 🚀 regression explain “quoted” Köln tab	 explain collect the tab	 tab	 draft “quoted” report Köln customer room compare find dr', 'completed', NULL, '2025-05-05 14:00:34.869611+00', 'a draft book pull “quoted” 👩‍👩‍👧‍👦 “quoted” tests for draft Ω≈ç customer points three summarise metrics Köln prices 🚀 find pull customer French prices draft aus sources a French compare Grüße collect review tests sources réviser aus a book translate prices réviser French summarise explain réviser review points request customer find back\slash please the pull √ back\slash réviser compare translate an find 👩‍👩‍👧‍👦 collect ', NULL, 0, '2025-05-05 08:00:34.869611+00', '2025-05-05 08:01:38.27013+00', NULL),
	('0c647801-4858-479e-ae1a-ddc841b73d54', 'd23f0824-128b-4f33-8c5c-7fd0a6a3a450', '8e81973e-0bec-47b0-b898-d190f9ebdacc', 'points find summarise for café three aus room three check list customer three open explain review a 👩‍👩‍👧‍👦 review check book regression room customer into request the into 👩‍👩‍👧‍👦 sum', 'completed', NULL, '2025-05-05 16:01:41.428332+00', 'equest answer regression naïve Grüße open pull a for 日本語の要約 Ω≈ç room prices check quarterly draft answer √ metrics Grüße answer the three naïve into collect explain sources the answer naïve list please prices metrics réviser “quoted” for metrics tests three points explain report open into draft answer Ω≈ç book pull sources check regression naïve customer find sources the the new
line back\slash answer French three request tab	 sources tests a “quoted” three an compare √ book into “quoted” Ω≈ç French 日本語の要約 French explain book the French tab	 points tra', NULL, 0, '2025-05-05 10:01:41.428332+00', '2025-05-05 10:02:16.067573+00', NULL),
	('14f4733f-3e7d-4bfb-87a2-ea20b2f14c94', '8d116ece-1738-47d9-bd9c-172411e20b8f', 'a170b338-3926-4059-b28c-105d1fb17c23', 'ests request report the please Grüße compare open into naïve answer tests collect an new
line 👩‍👩‍👧‍👦 room café prices Grüße request draft three 日本語の要約 for pull réviser Ω≈ç 👩‍👩‍👧‍👦 check room a c', 'completed', NULL, '2025-05-05 16:00:04.722518+00', 'metrics regression pull points draft c', NULL, 0, '2025-05-05 10:00:04.722518+00', '2025-05-05 10:00:13.542098+00', NULL),
	('1617643b-634d-4952-a2e8-fec0ed19557a', '6b0d549b-6f03-475a-9600-a35a099950d8', '9531985d-5d9d-49f8-9818-e811892f902b', 'éviser translate back\slash customer the review list summarise the please Ω≈ç new
line a the café requ', 'completed', NULL, '2025-05-05 14:01:31.601319+00', 'prices aus Grüße translate translate tab	 café check √ prices points into “quoted” the draft quarterly check an compare for an aus please regression regression a the back\slash Grüße review translate answer back\slash regression translate an metrics réviser sources tab	 for explain 🚀 quarterly book the into regression “quoted” check summarise explain into Köln open the quarterly new
line metrics Ω≈ç review réviser quarterly collect Grüße Ω≈ç three “quoted” find 🚀 regression find Grüße regression new
line French the tests review Grüße a answer please answer 👩‍👩‍👧‍👦 Köln review an collect 日本語の要約 tests review réviser back\slash French 🚀 pull Ω≈ç naïve 日本語の要約 Grüße a review regression regression Köln report prices request tab	 pull tab	 translate compare please the regression pull aus back\slash an list open Grüße tab	 new
line aus tab	 Köln réviser a “quoted” draft sources an for pull for naïve réviser translate √ room tab	 room report into tests 🚀 √ draft list tab	 translate answer request check three translate for Köln regression find for 日本語の要約 book Köln French into explain points translate summarise find tab	 check tab	 review 👩‍👩‍👧‍👦 room naïve 👩‍👩‍👧‍👦 review explain an prices metrics translate the request tab	 room customer sources the a Grüße “quoted” café draft the naïve “quoted” the réviser three open Ω≈ç prices the 🚀 into summarise book new
line room a regression compare collect aus new
line an summarise find review aus collect please new
line Ω≈ç quarterly three review list three naïve an back\slash √ compare the aus √ 🚀 customer draft summarise an sources translate prices check summarise aus request list please pull for compare request aus French the “quoted” the an 👩‍👩‍👧‍👦 review request pull the open French review the metrics report collect tab	 collect customer an Ω≈ç request check 🚀 tab	 translate draft metrics 👩‍👩‍👧‍👦 report explain Köln metrics translate an new
line open tab	 three back\slash the the quarterly a draft aus naïve Köln explain quarterly customer the 日本語の要約 explain French quarterly Ω≈ç café √ into café aus 👩‍👩‍👧‍👦 back\slash compare the the pull book quarterly request compare explain points the explain customer Köln report into new
line prices the check explain metrics regression réviser 日本語の要約 Ω≈ç review please compare naïve translate a sources réviser translate café open prices for explain French Köln 👩‍👩‍👧‍👦 √ 👩‍👩‍👧‍👦 draft a room French sources open a book café tests réviser explain the please into find open answer into an the open Köln summarise 🚀 regression tab	 collect tab	 👩‍👩‍👧‍👦 summarise tab	 Grüße the room 🚀 draft tests find open open quarterly 日本語の要約 points aus request customer explain for room room prices translate quarterly book points the open “quoted” request compare find 🚀 back\slash “quoted” collect the tests report the open review an report naïve the regression quarterly answer into report 日本語の要約 book tab	 √ aus Grüße room the 日本語の要約 🚀 report summarise pull the naïve back\slash check list the new
line a into review Köln “quoted” pull √ tests 日本語の要約 collect 日本語の要約 regression réviser tests regression list 👩‍👩‍👧‍👦 into request new
line naïve three report 日本語の要約 please an the report compare three a translate the open the prices Köln naïve the translate the √ three points book request quarterly check regression points answer prices the three check Ω≈ç sources réviser draft aus compare tests Köln summarise regression into French report a an café find check tests request 🚀 room for “quoted” list into collect √ French review réviser compare pull Ω≈ç √ please sources open ', NULL, 0, '2025-05-05 08:01:31.601319+00', '2025-05-05 10:01:52.608+00', NULL),
	('301850c5-a38f-4547-923a-736994e3bf91', '9531985d-5d9d-49f8-9818-e811892f902b', '0fd630f1-f29d-4da9-953f-48f1a09f76b5', 'lain compare the compare naïve Grüße prices 日本語の要約 p', 'completed', NULL, '2025-05-05 16:00:21.268292+00', 't find points open 👩‍👩‍👧‍👦 French room collect 👩‍👩‍👧‍👦 three for 日本語の要約 translate prices naïve tests request naïve answer réviser the 👩‍👩‍👧‍👦 three tests request open na', NULL, 0, '2025-05-05 10:00:21.268292+00', '2025-05-05 10:01:01.566154+00', NULL),
	('36f784cc-d0b3-4175-88a2-835428ad5dc9', '9531985d-5d9d-49f8-9818-e811892f902b', 'a170b338-3926-4059-b28c-105d1fb17c23', 'ise book pull 日本語の要約 new
line request prices réviser 日本語の要約 aus tests report réviser French sources thre', 'completed', '2025-05-05 10:05:12.992648+00', '2025-05-05 16:02:08.822418+00', 'e answer please pull report for aus réviser quarterly an café request check café summarise translate 👩‍👩‍👧‍👦 collect translate French report 日本語の要約 French tests explain K', NULL, 0, '2025-05-05 10:02:08.822418+00', '2025-05-05 10:06:00.261859+00', NULL),
	('3f665ede-f106-47ce-81fc-069e7a609683', '0fd630f1-f29d-4da9-953f-48f1a09f76b5', '0cb1e29c-658c-4a14-95e6-0af593bd04cf', ' translate an a Köln pull an “quoted” 🚀 book for answer quarterly list 🚀 answer draft French sources tab	 the Ω≈ç for please a French explain Köln the review explain réviser regression √ prices points the 🚀 explain list naïve draft “quoted” sources a open Köln translate summarise regression naïve pull quarterly sources request explain back\slash Köln naïve check Köln prices find Ω≈ç an French request compare compare Grüße “quoted” collect 🚀 collect new
line réviser three three back\slash an tests room find translate café √ prices French report réviser prices summarise open explain the tests 👩‍👩‍👧‍👦 review answer back\slash “quoted” back\slash please Köln please three quarterly a report a prices pull Grüße réviser open 👩‍👩‍👧‍👦 draft back\slash draft report regression 🚀 points √ open prices regression back\slash please metrics Köln open “quoted” new
line into café prices Ω≈ç summarise explain summarise request metrics tab	 日本語の要約 an réviser draft metrics 👩‍👩‍👧‍👦 points check draft translate 🚀 into the explain open please collect draft check quarterly réviser Grüße points 日本語の要約 Grüße tests request review translate French tests draft review réviser back\slash réviser find three “quoted” answer naïve into “quoted” back\slash report naïve a summarise room 👩‍👩‍👧‍👦 pull report aus three tests naïve regression check for room a the 👩‍👩‍👧‍👦 a please book review 🚀 tests quarterly the for book tests customer Ω≈ç a into translate sources review regress', 'completed', NULL, '2025-05-05 16:00:17.901019+00', ' Köln points new
line a an compare summarise 👩‍👩‍👧‍👦 translate answer please pull report for aus réviser quarterly an café request check café summarise translate 👩‍👩‍👧‍👦 collect translate French report 日本語の要約 French tests explain Köln an request the customer report pull aus open metrics metrics into answer Köln sources answer the 🚀 日本語の要約 √ an customer room for the 日本語の要約 Ω≈ç naïve answer 🚀 réviser French customer answer √ explain prices answer Köln Ω≈ç back\slash tab	 summarise tests list summarise “quoted” aus “quoted” réviser Köln into regression please “quoted” please tab	 report tests an Grüße open book answer review three explain pull √ réviser the sources sources an room réviser explain tests √ √ back\slash compare summarise check report tab	 room for book three check open answer an tab	 translate list summarise an Köln report the points √ review French points list request summarise answer answer back\slash into explain please find review tests collect prices “quoted” the réviser three collect collect please Grüße answer points explain Ω≈ç tests room prices an collect the points 日本語の要約 compare naïve naïve aus translate answer pull book sources sources 🚀 draft Grüße a “quoted” customer 👩‍👩‍👧‍👦 summarise find summarise back\slash for draft Ω≈ç compare a naïve 日本語の要約 regression for back\slash back\slash new
line review a aus an regression answer tab	 tests an tab	 draft explain regression report summarise regression find check summarise an review regression tests café sources Köln report into quarterly regression 👩‍👩‍👧‍👦 French book points a 🚀 into room new
line into 🚀 sources √ report 👩‍👩‍👧‍👦 🚀 the translate naïve Köln “quoted” draft review the “quoted” compare prices please explain 日本語の要約 a new
line café back\slash tab	 summarise 👩‍👩‍👧‍👦 for book draft metrics open réviser open check find for Ω≈ç room report sources find book review collect room naïve find Köln √ Grüße Köln 🚀 points into the metrics customer French for points find find café open three sources answer back\slash an quarterly report new
line book the French three draft list naïve prices naïve regression √ compare prices prices find café room √ collect room Köln French check quarterly collect find find naïve find explain 🚀 open naïve report collect “quoted” review the réviser “quoted” a open back\slash tests 日本語の要約 “quoted” an summarise collect the naïve tab	 for “quoted” metrics summarise Grüße metrics translate metrics review room explain French draft request translate three pull the aus please review √ metrics explain review for three quarterly translate sources 日本語の要約 “quoted” aus compare Ω≈ç Grüße regression prices compare French list 🚀 日本語の要約 aus quarterly book room a aus aus book Grüße naïve list Grüße Köln please please the for points request French aus 🚀 réviser explain into review new
line report new
line French prices 👩‍👩‍👧‍👦 regression quarterly report room Grüße explain check into réviser for an customer prices room a please request back\slash 👩‍👩‍👧‍👦 find sources “quoted” “quoted” list a sources sources regression quarterly tab	 réviser answer √ Köln café prices three the sources quarterly compare “quoted” 日本語の要約 sources collect tests book the a quarterly three list Köln report aus 日本語の要約 book request prices open review review check the please compare sources review list Grüße into request', NULL, 0, '2025-05-05 10:00:17.901019+00', '2025-05-05 10:02:12.511609+00', NULL),
	('55e4615b-1f8e-4521-89ef-f2b4a4de7a8d', 'a170b338-3926-4059-b28c-105d1fb17c23', 'd23f0824-128b-4f33-8c5c-7fd0a6a3a450', 'nto tests 👩‍👩‍👧‍👦 quarterly into Grüße book translate find 🚀 three please Köln metrics quarterly compare 🚀 日本語の要約 translate pull summarise “quoted” three list sources 🚀 regression find 👩‍👩‍👧‍👦 new
line report back\slash answer translate report list quarterly aus regression “quoted” the new
line review request report Ω≈ç “quoted” check list points naïve please an tests aus réviser the regression regression quarterly aus translate draft Köln for summarise check réviser sources sources back\slash three sources for café draft metrics an list answer Köln the explain summarise 🚀 aus for the a 👩‍👩‍👧‍👦 日本語の要約 explain draft collect the aus explain room list new
line an French translate room answer report 日本語の要約 room open the Ω≈ç réviser the Köln French points review compare translate French customer draft points list translate answer list Ω≈ç prices French draft 🚀 points customer “quoted” collect tab	 room draft collect naïve points report collect open regression 👩‍👩‍👧‍👦 into Ω≈ç sources sources request into the French explain translate a the draft draft compare open draft pull naïve Ω≈ç into customer 👩‍👩‍👧‍👦 naïve the réviser into summarise 日本語の要約 translate tab	 日本語の要約 prices tab	 report list French Köln 🚀 regression into collect room into naïve list room naïve new
line sources quarterly find answer new
line aus review the request the 👩‍👩‍👧‍👦 three back\slash summarise three metrics book pull a for naïve find Köln tests list prices please customer metrics reques', 'completed', NULL, '2025-05-05 16:01:38.138822+00', '日本語の要約 “quoted” quarterly 日本語の要約 into the tab	 café sources find quarterly 👩‍👩‍👧‍👦 quarterly book tab	 back\slash 日本語の要約 tab	 tests 👩‍👩‍👧‍👦 日本語の要約 French √ report open translate an into find room draft back\sla', NULL, 0, '2025-05-05 10:01:38.138822+00', '2025-05-05 10:01:57.911209+00', NULL),
	('5d39d0a8-9a2e-480f-98ee-8571f4998d7c', '0cb1e29c-658c-4a14-95e6-0af593bd04cf', '6513270e-269e-4d37-b2a7-4de452e6b438', '👧‍👦 find an café réviser sources an collect quarterly tab	 list book sources open naïve new
line review the Ω≈ç for quarterly 日本語の要約 the café an aus three request customer metrics explain customer French room translate new
line 🚀 日本語の要約 for “quoted” √ an 日本語の要約 compare', 'completed', NULL, '2025-05-05 16:01:45.998162+00', 'translate prices find book request Grüße naïve √ regression tests for answer draft draft Grüße draft prices points a 日本語の要約 regression compare book compare translate réviser back\slash √ Ω≈ç request réviser compare summarise into an the customer √ metrics 日本語の要約 metrics the 🚀 list compare Grüße collect Köln prices for French “quoted” compare tests new
line into report find collect summarise regression room answer back\slash customer for √ please back\slash √ pull the tests regression answer report open points thr', NULL, 0, '2025-05-05 10:01:45.998162+00', '2025-05-05 10:01:45.998162+00', NULL),
	('70ccec31-3571-410a-bc13-2d0d113db17d', '90c192cf-d3ac-44af-8f21-ddb66cad4a26', '90c192cf-d3ac-44af-8f21-ddb66cad4a26', 'oted” prices into metrics Grüße review list ex', 'completed', NULL, '2025-05-05 16:00:37.957483+00', 'quarterly collect Grüße Ω≈ç three “', NULL, 0, '2025-05-05 10:00:37.957483+00', '2025-05-05 10:02:51.985215+00', 'key-70ccec31-3571-410a-bc13-2d0d113db17d'),
	('7691b06f-6555-4bfe-b8c9-817af8be8831', '36f675cc-81e7-4ef5-a8e2-5d940ed90475', 'a170b338-3926-4059-b28c-105d1fb17c23', '👩‍👩‍👧‍👦 French sources translate 日本語の要約 new
line quarterly explain room compare √ regression French 日本語の要約 quarterly into points customer naïve naïve points book prices summarise French compare prices review summarise collect naïve summarise collect report tab	 日本語の要約 book list collect Grüße réviser explain open compare Grüße Ω≈ç “quoted” three 🚀 réviser Grüße sources customer regression find collect back\slash request a points report for 日本語の要約 café √ French open open into open answer points √ 🚀 日本語の要約 list please explain book customer list pull metrics café quarterly Köln book aus pull three naïve the 👩‍👩‍👧‍👦 réviser summarise tests café collect a the tests request collect a Grüße quarterly tests explain an new
line “quoted” a room review 日本語の要約 日本語の要約 an request explain 👩‍👩‍👧‍👦 three tab	 👩‍👩‍👧‍👦 √ sources Ω≈ç aus réviser three collect tab	 naïve the pull summarise report prices metrics points French check pull Grüße pull compare open explain compare room the a collect back\slash Köln request Grüße French compare “quoted” please Gr', 'failed', NULL, '2025-05-05 16:00:36.194286+00', NULL, 'gave up', 0, '2025-05-05 10:00:36.194286+00', '2025-05-05 10:00:47.527313+00', NULL),
	('80b0c08b-c770-4420-8aa4-248c8857f9a4', 'd23f0824-128b-4f33-8c5c-7fd0a6a3a450', '6b4cb242-4a23-4596-a217-beaddbc496cb', 'ç list report 👩‍👩‍👧‍👦 compare collect into check the check answer café regression an regression aus explain draft room ', 'completed', '2025-05-05 08:00:37.594886+00', '2025-05-05 14:00:09.069411+00', 'French back\slash collect Köln back\slash request aus a book French an for find metrics report Grüße metrics translate Grüße tab	 please request Ω≈ç sources list “quoted” into naïve French √ compare points tests regression for three compare aus new
line pull request regression Köln compare 日本語の要約 report for French collect back\slash 👩‍👩‍👧‍👦 open √ quarterly café quarterly 👩‍👩‍👧‍👦 find an c', NULL, 0, '2025-05-05 08:00:09.069411+00', '2025-05-05 08:01:20.246074+00', NULL),
	('823209b5-2cb5-4c32-9cf9-9a99d039b963', '9531985d-5d9d-49f8-9818-e811892f902b', '90c192cf-d3ac-44af-8f21-ddb66cad4a26', 'lease sources metrics collect √ 日本語の要約 into ', 'completed', NULL, '2025-05-05 16:01:42.065735+00', 'oted” for answer report 👩‍👩‍👧‍👦 draft room explain summarise request √ café review 👩‍👩‍👧‍👦 pull prices a quarterly the review draft tab	 summarise café request summarise prices check open the check 🚀 Köln metrics metrics answer report compare review summarise 🚀 customer draft Ω≈ç an customer ', NULL, 0, '2025-05-05 10:01:42.065735+00', '2025-05-05 10:01:42.065735+00', NULL),
	('9aea6429-b149-4e24-b192-b70442594052', '0fd630f1-f29d-4da9-953f-48f1a09f76b5', 'a170b338-3926-4059-b28c-105d1fb17c23', 's French 👩‍👩‍👧‍👦 points French the “quoted” √ please for into 日本語の要約 find please naïve compare collect quarterly new
line √ pull réviser réviser open café tab	 check find into Köln check into naïve “quoted” Grüße collect into sources customer café for aus café answer 👩‍👩‍👧‍👦 customer Ω≈ç summarise three list an for aus please new
line check naïve prices room aus check report prices the K', 'in_progress', NULL, '2025-05-05 16:00:08.818742+00', NULL, NULL, 0, '2025-05-05 10:00:08.818742+00', '2025-05-05 10:01:26.479+00', NULL),
	('9e1a8ef4-f341-407a-83f7-3f16dbf4a8b2', '9531985d-5d9d-49f8-9818-e811892f902b', '90c192cf-d3ac-44af-8f21-ddb66cad4a26', 'back\slash naïve points the request naïve room regression find into back\slash the explain compare an an tests review customer the “quoted” collect prices tab	 draft into prices naïve 日本語の要約 “quoted” tests réviser room review prices quarterly tests review review the open new
line Köln translate 👩‍👩‍👧‍👦 new
line prices list naïve tab	 review café review tests new
line metrics translate translate sources a please the √ new
line pull the find 🚀 book compare regression review “quoted” points 🚀 sources collect Ω≈ç three points metrics open tab	 Ω≈ç report Köln sources a pull “quoted” 🚀 customer aus café tests new
line summarise tests compare review room prices 🚀 review √ naïve a draft book pull “quoted” 👩‍👩‍👧‍👦 “quoted” tests for draft Ω≈ç customer points three summarise metrics Köln prices 🚀 find pull customer French prices draft aus sources a French compare Grüße collect review tests sources réviser aus a book translate prices réviser French summarise explain réviser review points request customer find back\slash please the pull √ back\slash réviser compare translate an find 👩‍👩‍👧‍👦 collect an points √ a answer tab	 🚀 🚀 back\slash collect points report list réviser French back\slash collect Köln back\slash request aus a book French an for find metrics report Grüße metrics translate Grüße tab	 please request Ω≈ç sources list “quoted” into naïve French √ compare points tests regression for three compare aus new
line pull request regression Köln compare 日本語の要約 report for French collect back\slash 👩‍👩‍👧‍👦 open √ quarterly café quarterly 👩‍👩‍👧‍👦 find an check explain tab	 metrics regression back\slash 日本語の要約 draft find 🚀 Grüße compare points a compare quarterly report new
line room compare for Grüße draft list an pull check √ back\slash new
line a room 日本語の要約 metrics café quarterly café metrics review request prices naïve collect check the a back\slash into the 🚀 three pull review regression three Köln translate metrics the a for check new
line into new
line the prices the √ Ω≈ç Köln an metrics compare review back\slash √ Grüße compare réviser French regression 日本語の要約 an review explain naïve Ω≈ç sources summarise book translate request tab	 a review √ √ tests review café explain pull Ω≈ç report quarterly café Ω≈ç explain open collect repo', 'failed', NULL, '2025-05-05 21:07:45.815985+00', NULL, 'the callee did not answer', 0, '2025-05-05 10:00:31.914966+00', '2025-05-05 10:00:40.031+00', NULL),
	('bdf2e077-8dc1-443e-a97f-65bd73474aa9', '0cb1e29c-658c-4a14-95e6-0af593bd04cf', '8e81973e-0bec-47b0-b898-d190f9ebdacc', 'rench translate tests collect for explain 🚀 into quarterly three sources Grüße 👩‍👩‍👧‍👦 request collect summarise points translate réviser a room “quoted” new
line naïve regression open check compare for please Ω≈ç 👩‍👩‍👧‍👦 Ω≈ç new
line a Grüße please report compare summarise back\slash aus Ω≈ç quarterly please café report naïve room metrics back\slash find into sources s', 'completed', NULL, '2025-05-05 16:02:01.246074+00', 'new
line 日本語の要約 report prices quarterly summarise open please sources request 日本語の要約 👩‍👩‍👧‍👦 customer aus r', NULL, 0, '2025-05-05 10:02:01.246074+00', '2025-05-05 10:02:01.246074+00', NULL),
	('c5b2e75a-0acd-4be1-86e4-099030f97058', '0fd630f1-f29d-4da9-953f-48f1a09f76b5', '0fd630f1-f29d-4da9-953f-48f1a09f76b5', 'ist a open points quarterly √ quar', 'dispatched', '2025-05-05 10:01:09.167473+00', '2025-05-05 16:00:24.501419+00', NULL, NULL, 0, '2025-05-05 10:00:24.501419+00', '2025-05-05 10:01:09.167473+00', 'key-c5b2e75a-0acd-4be1-86e4-099030f97058'),
	('c6aa7d55-0101-4811-9bca-3cb72ee0289d', '0fd630f1-f29d-4da9-953f-48f1a09f76b5', '9531985d-5d9d-49f8-9818-e811892f902b', 't Grüße new
line book review please pull points answer collect points into 🚀 the 👩‍👩‍👧‍👦 café draft café please 🚀 find find Köln the draft naïve Grüße prices naïve check collect réviser back\slash three compare open French new
line a café customer tests réviser ', 'completed', NULL, '2025-05-05 16:00:27.293267+00', 'done', NULL, 0, '2025-05-05 10:00:27.293267+00', '2025-05-05 10:01:23.946+00', NULL),
	('d58dcdb4-6b44-4806-8b5a-b3ee4265bb31', '36f675cc-81e7-4ef5-a8e2-5d940ed90475', '6513270e-269e-4d37-b2a7-4de452e6b438', 'prices tab	 draft into prices naïve 日本語の要約 “quoted” tests réviser room review prices quarterly tests review review the open new
line Köln translate 👩‍👩‍👧‍👦 new
line prices list naïve tab	 review café review tests new
line metrics translate translate sources a please the √ new
line pull the find 🚀 book compare regression review “quoted” points 🚀 sources collect Ω≈ç three points metrics open tab	 Ω≈ç report Köln sources a pull “quoted” 🚀 customer aus café tests new
line summarise tests compare review room prices 🚀 review √ naïve a draft book pull “quoted” 👩‍👩‍👧‍👦 “quoted” tests for draft Ω≈ç customer points three summarise metrics Köln prices 🚀 find pull customer French prices draft aus sources a French compare Grüße collect review tests sources réviser aus a book translate prices réviser French summarise explain réviser review points request customer find back\slash please the pull √ back\slash réviser compare translate an find 👩‍👩‍👧‍👦 collect an points √ a answer tab	 🚀 🚀 back\slash collect points report list réviser French back\slash collect Köln back\slash request aus a book French an for find metrics report Grüße metrics translate Grüße tab	 please request Ω≈ç sources list “quoted” into naïve French √ compare points tests regression for three compare aus new
line pull request regression Köln compare 日本語の要約 report for French collect back\slash 👩‍👩‍👧‍👦 open √ quarterly café quarterly 👩‍👩‍👧‍👦 find an check explain tab	 metrics regression back\slash 日本語の要約 draft find 🚀 Grüße compare points a compare quarterly report new
line room compare for Grüße draft list an pull check √ back\slash new
line a room 日本語の要約 metrics café quarterly café metrics review request prices naïve collect check the a back\slash into the 🚀 three pull review regression three Köln translate metrics the a for check new
line into new
line the prices t', 'failed', NULL, '2025-05-05 16:00:20.67073+00', NULL, 'connection reset', 0, '2025-05-05 10:00:20.67073+00', '2025-05-05 10:00:28.102738+00', 'key-d58dcdb4-6b44-4806-8b5a-b3ee4265bb31'),
	('dcbbb757-b6e2-4482-b771-690c90ebc2c3', '6513270e-269e-4d37-b2a7-4de452e6b438', '90c192cf-d3ac-44af-8f21-ddb66cad4a26', 'ces review summarise collect naïve summarise collect report tab	 日本語の要約 book list collect Grüße réviser explain open compare Grüße Ω≈ç “quoted” three 🚀 réviser Grüße s', 'completed', '2025-05-05 10:03:29.636484+00', '2025-05-05 16:02:00.594886+00', 'rt “quoted” naïve customer please compare tab	 sources into tests metrics the find points pull √ sources tab	 customer the regression 日本語の要約 book Köln check please please p', NULL, 0, '2025-05-05 10:02:00.594886+00', '2025-05-05 10:03:49.509771+00', NULL),
	('dlg-153e7c226a2c0bd', '0fd630f1-f29d-4da9-953f-48f1a09f76b5', '6b0d549b-6f03-475a-9600-a35a099950d8', 'regression 🚀 summarise three Ω≈ç Köln request 👩‍👩‍👧‍👦 naïve book quarterly new
line pull compare for quarterly pull report report pull pull', 'stuck', '2025-05-05 19:30:26.077763+00', '2025-05-06 01:30:11.277563+00', NULL, 'no heartbeat since an hour', 0, '2025-05-05 19:30:11.277563+00', '2025-05-05 19:30:48.907533+00', 'key-dlg-153e7c226a2c0bd'),
	('dlg-7d103d726c86b', '36f675cc-81e7-4ef5-a8e2-5d940ed90475', 'a170b338-3926-4059-b28c-105d1fb17c23', 'compare three “quoted” open new
line French report 🚀 Grüße French Grüße aus back\slash explain Ω≈ç 日本語の要約 summarise café pull a Ω≈ç compare prices report 日本語の要約 prices Ω≈ç for collect translate French review draft prices find a three points réviser prices tests review 👩‍👩‍👧‍👦 Ω≈ç naïve réviser please Grüße please 🚀 compare find new
line aus open r', 'queued', NULL, '2025-04-04 15:00:31.292348+00', NULL, NULL, 0, '2025-04-04 09:00:31.292348+00', '2025-04-04 09:00:31.292348+00', NULL),
	('dlg-8ddcf83f0d1ab56', '36f675cc-81e7-4ef5-a8e2-5d940ed90475', '8d116ece-1738-47d9-bd9c-172411e20b8f', 'ests compare Köln collect please pull 👩‍👩‍👧‍👦 an French draft report tests please compare translate 👩‍👩‍👧‍👦 tab	 French explain Grüße 🚀 👩‍👩‍👧‍👦 prices points tab	 answer a tests 👩‍👩‍👧‍👦 naïve for tab	 for a answer regression report list sources sources book café aus 👩‍👩‍👧‍👦 room an metrics Köln back\slash check open answer pull open naïve French pull into list please for request open café for a Ω≈ç three find Grüße answer customer book book compare into tests naïve French points the √ “quoted” 🚀 find “quoted” French metrics Köln an request list réviser room customer pull back\slash Grüße sources aus 日本語の要約 √ “quoted” café 日本語の要約 Grüße three three compare for answer summarise tab	 draft into compare pull request list 👩‍👩‍👧‍👦 summarise quarterly quarterly √ check explain answer answer Grüße customer translate explain tab	 Köln find for list review points for open check back\slash French Köln Grüße Grüße compare tests list answer 👩‍👩‍👧‍👦 tab	 √ request tab	 summarise into sources list for 👩‍👩‍👧‍👦 日本語の要約 the summarise a pull aus customer explain tab	 summarise find room an a back\slash Grüße the please compare pull collect café collect naïve 🚀 🚀 aus “quoted” the new
line a customer answer report please book prices please quarterly Grüße tests request report the please Grüße compare open into naïve answer tests collect an new
line 👩‍👩‍👧‍👦 room café prices Grüße request draft three 日本語の要約 for pull réviser Ω≈ç 👩‍👩‍👧‍👦 check room a compare an an draft metrics sources new
line request draft café compare check Grüße 🚀 back\slash 👩‍👩‍👧‍👦 🚀 summarise three Grüße tests 🚀 an Grüße into back\slash new
line open Grüße check the an naïve √ book summarise report 🚀 summarise Köln Grüße please room Grüße book French réviser prices an quarterly please French back\slash 日本語の要約 🚀 “quoted” list quarterly points prices prices summarise check the Köln new
line Köln answer Ω≈ç report into sources into new
line metrics find explain answer tests back\slash aus answer back\slash sources customer find for open request draft three Ω≈ç customer request Grüße French the for draft request pull café room open please an tab	 “quoted” Grüße French answer draft tests draft points answer find aus book pull for report review metrics explain room the café back\slash quarterly check request three Köln new
line prices 🚀 translate translate a draft regression open room compare prices please find draft compare open aus naïve for naïve points quarterly Köln tab	 metrics the Grüße three “quoted” into review list the French new
line summarise open check tests review aus pull an book √ metrics request find tests aus three for sources into report √ Grüße a pull pull three into “quoted” 👩‍👩‍👧‍👦 summarise review compare points new
line request customer 👩‍👩‍👧‍👦 customer regression 日本語の要約 Ω≈ç translate compare réviser the into draft 日本語の要約 check regression 🚀 three “quoted” quarterly back\slash café the pull translate translate explain new
line réviser new
line the please sources review please open compare 日本語の要約 review open the tests quarterly réviser collect metrics quarterly for answer new
line quarterly into tests French explain the request request metrics the 日本語の要約 naïve compare compare Köln answer 🚀 customer “quoted” quarterly list the quarterly answer tab	 into sources back\slash draft answer for French 👩‍👩‍👧‍👦 customer the summarise sources request aus 🚀 find compare translate 👩‍👩‍👧‍👦 🚀 compare open a tab	 review back\slash three three réviser open for “quoted” naïve request “quoted” 日本語の', 'completed', NULL, '2025-05-06 01:30:37.532908+00', 'ted” three an pull naïve answer café list pull summarise book the room please three answer Grüße café collect check summarise réviser √ new
line for the Ω≈ç 🚀 compare tab	 réviser √ translate customer naïve check translate the find review summarise naïve room summarise book summarise open an 👩‍👩‍👧‍👦 customer summarise three réviser a prices report for answer tab	 sources Köln Köln √ into French report back\slash the answer open compare réviser tests into “quoted” new
line request book check sources into 👩‍👩‍👧‍👦 the report room the naïve tests naïve please explain réviser request answer into Köln Ω≈ç pull French √ answer 👩‍👩‍👧‍👦 into request aus aus tests sources list find answer new
line a back\slash Köln answer for request collect a please quarterly pull compare explain find report review aus 日本語の要約 compare request request find collect naïve 👩‍👩‍👧‍👦 Köln prices check the customer find “quoted” Köln French café café Grüße new
line quarterly pull room explain √ into 🚀 please prices collect metrics tab	 summarise the three 🚀 √ book new
line open for Ω≈ç book back\slash French book a find book report metrics an explain Ω≈ç for an open back\slash book French the an find √ 日本語の要約 into “quoted” réviser French prices Grüße 👩‍👩‍👧‍👦 draft the check aus customer 🚀 report list answer Köln book metrics tab	 the request the report book list request an collect customer into new
line 日本語の要約 Köln answer review draft a back\slash tab	 points Ω≈ç summarise open check Grüße pull open back\slash review answer room back\slash the new
line summarise sources report translate room a a aus naïve the book tests find réviser list Köln three 👩‍👩‍👧‍👦 three open open French into into three collect metrics for 🚀 for prices for points new
line please Köln “quoted” an metrics translate check pull list for √ café aus prices 👩‍👩‍👧‍👦 check “quoted” customer open Köln pull regression sources request 日本語の要約 aus into prices regression room explain the 🚀 request for aus new
line translate compare Grüße compare three “quoted” review the summarise “quoted” the sources French the explain room 日本語の要約 back\slash Ω≈ç room naïve explain review Grüße three three Ω≈ç tab	 translate check metrics list summarise prices request report 🚀 French quarterly quarterly naïve find request for compare book the review translate please the for check three pull collect three metrics réviser room check summarise room a room regression book new
line café for réviser French naïve book draft an 👩‍👩‍👧‍👦 Köln room aus into café regression summarise for new
line points French back\slash the 🚀 “quoted” a report request naïve open list regression French the √ list translate compare customer into customer tests customer explain three 日本語の要約 the please check tab	 back\slash tests metrics points metrics 👩‍👩‍👧‍👦 sources tests open quarterly into metrics French Grüße réviser check answer book back\slash find draft Köln tab	 🚀 French report aus a review collect new
line French answer translate find French draft a French check Grüße back\slash compare the new
line draft translate 👩‍👩‍👧‍👦 “quoted” please points compare answer compare aus explain quarterly find tab	 compare compare translate collect room open summarise find prices find list new
line réviser compare list explain check review prices Köln back\slash new
line translate Ω≈ç “quoted” open 日本語の要約 a list explain 🚀 please answer regression French √ a points answer summarise 日本語の要約 summarise Ω≈ç aus open pull naïve Ω≈ç summarise sources 🚀 aus an Grüße réviser réviser check back\slash an the summarise Köln answer answer an back\slash “quoted” points naïve French quarterly ', NULL, 0, '2025-05-05 19:30:37.532908+00', '2025-05-05 19:30:37.532908+00', NULL),
	('dlg-c3baea913deef86', '90c192cf-d3ac-44af-8f21-ddb66cad4a26', '9531985d-5d9d-49f8-9818-e811892f902b', 'ew
line new
line new
line list “quoted” into three a French sources Ω≈ç explain a metrics find Grüße summarise quarterly metrics request tab	 the open summarise into report “quoted” an √ collect points the prices room new
line report draft naïve tests tab	 collect √ French an the the review 🚀 a Grüße aus room réviser review customer please pull collect prices answer answer an pull report check draft three naïve 日本語の要約 pull new
line an room three Ω≈ç list into réviser into the please Grüße café draft room café compare review find prices translate translate check please prices answer check for naïve please quarterly 🚀 the room review the regression tab	 🚀 points new
line report réviser prices answer an summarise book draft draft a request quarterly a café explain into “quoted” review 日本語の要約 compare Grüße café regression quarterly customer points a metrics the explain request points 👩‍👩‍👧‍👦 pull prices tests naïve sources check points summarise please French explain an quarterly request draft the the summarise check customer summarise back\slash review collect back\slash back\slash réviser 🚀 metrics translate 日本語の要約 list answer an into “quoted” new
line list French prices French answer room find a into café 日本語の要約 list customer the open customer list back\slash pull regression French list points 日本語の要約 réviser French customer aus review naïve pull points draft “quoted” sources for room compare answer list book report find prices Köln customer pull check réviser explain back\slash Köln collect find points open 👩‍👩‍👧‍👦 French room collect 👩‍👩‍👧‍👦 three for 日本語の要約 translate prices naïve tests request naïve answer réviser the 👩‍👩‍👧‍👦 three tests request open naïve', 'completed', NULL, '2025-05-05 16:00:31.875125+00', '日本語の要約 sources prices request draft room three Köln au', NULL, 0, '2025-05-05 10:00:31.875125+00', '2025-05-05 10:00:31.875125+00', NULL),
	('e42af0ad-88ad-4972-91ce-e715f45eaf1c', 'd23f0824-128b-4f33-8c5c-7fd0a6a3a450', '6b4cb242-4a23-4596-a217-beaddbc496cb', ' collect Grüße café the tests the naïve draft 👩‍👩‍👧‍👦 👩‍👩‍👧‍👦 aus explain the sources tests 👩‍👩‍👧‍👦 sources three tests metrics open 👩‍👩‍👧‍👦 compare an aus summarise room tab	 the metrics for three back\slash Grüße translate customer open report Ω≈ç new
line the book a answer an réviser explain answer explain find regression French answer the French 👩‍👩‍👧‍👦 日本語の要約 tab	 report translate quarterly room the café an prices review collect the 日本語の要約 explain report Köln three list three explain Köln 🚀 pull three tests into collect quarterly aus collect summarise book pull 日本語の要約 new
line request prices réviser 日本語の要約 aus tests report réviser French sources three regression summarise Köln 日本語の要約 points the Köln regression please open translate translate French tab	 aus the naïve French 日本語の要約 report metrics naïve list Grüße a translate explain Grüße please draft request French for prices 日本語の要約 prices 日本語の要約 open three request explain sources French translate check réviser French the “quoted” report naïve customer check tab	 three aus review Köln café list report “quoted” draft tests sources list compare review aus back\slash 🚀 check customer for open tests back\slash collect quarterly new
line explain pull for Grüße report aus request translate review regression compare the a French new
line the summarise request sources new
line draft aus the “quoted” 日本語の要約 √ 👩‍👩‍👧‍👦 naïve regression book an answer the points 日本語の要約 compare 日本語の要約 explain points back\slash tests room answer quarterly French room translate café back\slash into the naïve please please metrics the draft check aus the please the tab	 list regression an the regression answer for a review customer metrics explain French request three 🚀 report answer réviser an answer Ω≈ç café pull 日本語の要約 book café collect French summarise metrics summarise open 👩‍👩‍👧‍👦 naïve Köln 👩‍👩‍👧‍👦 café book “quoted” 日本語の要約 translate translate report 🚀 sources answer √ explain metrics réviser Köln 👩‍👩‍👧‍👦 aus', 'completed', NULL, '2025-05-05 16:01:27.986134+00', 'new
line 👩‍👩‍👧‍👦 √ pull aus check tests regression explain find customer regression the translate pull tests Köln request Köln find check customer réviser café list 🚀 metrics draft tab	 French aus 👩‍👩‍👧‍👦 Köln draft Grüße réviser list a collect Ω≈ç French request report Grüße regression for the 👩‍👩‍👧‍👦 √ prices into translate Grüße regression explain Grüße draft draft naïve tab	 answer 日本語の要約 for for Grüße the Köln naïve sources answer room sources translate Ω≈ç summarise request an compare the sources aus metrics an explain points points 日本語の要約 open summarise café room an list Grüße list compare √ please sources tests answer into 🚀 a naïve metrics room réviser metrics room naïve Köln check open translate translate report room Köln Ω≈ç find tests three translate report pull compare check 🚀 👩‍👩‍👧‍👦 summarise prices an an café find points customer three draft “quoted” review into café regression compare three points café find French the please open for √ tab	 find list summarise Köln French into find points compare café tab	 draft for for room the regression an room check collect the three summarise please points an quarterly the request request open sources collect compare naïve the tests Köln into √ for Grüße translate metrics compare review back\slash review summari', NULL, 0, '2025-05-05 10:01:27.986134+00', '2025-05-05 10:02:58.337703+00', NULL),
	('eab477d2-6415-479c-a5dc-9f503f63af83', '9531985d-5d9d-49f8-9818-e811892f902b', '0cb1e29c-658c-4a14-95e6-0af593bd04cf', 'pull 日本語の要約 an room summarise Köln an back\slash naïve points the new
line prices sources 👩‍👩‍👧‍👦 review explain tab	 for quarterly report réviser regression explain Grüße “quoted” book back\slash tests √ collect aus a room 🚀 日本語の要約 café list Köln t', 'failed', '2025-05-05 10:04:41.317323+00', '2025-05-05 16:00:17.22018+00', NULL, ' pull points naïve room compare tests request pull 日本語の要約 Grüße translate the pull answer check room explain back\slash regression the tab	 please request room points repor', 0, '2025-05-05 10:00:17.22018+00', '2025-05-05 10:04:49.954726+00', NULL),
	('f3b7a50d-f373-4a53-b488-f87605e999f3', 'd23f0824-128b-4f33-8c5c-7fd0a6a3a450', '6b4cb242-4a23-4596-a217-beaddbc496cb', 'us √ book check answer aus translate an a Köln pull an “quoted” 🚀 book for answer quarterly list 🚀 answer draft French sources tab	 the Ω≈ç for please a French explain Köln the review explain réviser regression √ prices points the 🚀 explain list naïve draft “quoted” sources a open Köln translate s', 'completed', '2025-05-05 10:01:43.864016+00', '2025-05-05 16:00:54.709571+00', NULL, NULL, 0, '2025-05-05 10:00:54.709571+00', '2025-05-05 10:02:21.276+00', NULL),
	('fe3b890b-93f4-48b3-a5aa-3c814f426dcb', 'd23f0824-128b-4f33-8c5c-7fd0a6a3a450', 'd23f0824-128b-4f33-8c5c-7fd0a6a3a450', 'tomer check pull Grüße room translate naïve a summarise metrics “quoted” metrics compare summarise book find an review aus √ find answer 日本語の要約 Ω≈ç three new
line √ summarise customer 🚀 collect translate French a pull list quarterly regression request draft compare quarterly French collect customer café 🚀 “quoted” the the please collect room room book customer three an open customer ', 'failed', NULL, '2025-05-05 16:00:18.467173+00', NULL, 'om a Grüße √ 日本語の要約 a réviser compare tab	 √ translate Ω≈ç pull', 0, '2025-05-05 10:00:18.467173+00', '2025-05-05 10:01:48.775225+00', NULL);

INSERT INTO public.projector_schema_migrations VALUES
	(50, false);

SELECT pg_catalog.setval('projector.parked_seq_seq', 3, true);

ALTER TABLE ONLY projector.dead_letters
    ADD CONSTRAINT dead_letters_pkey PRIMARY KEY (topic, partition, "offset", value_hash);

ALTER TABLE ONLY projector.large_rows
    ADD CONSTRAINT large_rows_pkey PRIMARY KEY (row_id);

ALTER TABLE ONLY projector.parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (topic, partition, "offset", delegation_id, kind, at);

ALTER TABLE ONLY projector.positions
    ADD CONSTRAINT positions_pkey PRIMARY KEY (topic, partition);

ALTER TABLE ONLY public.delegations
    ADD CONSTRAINT delegations_pkey PRIMARY KEY (delegation_id);

ALTER TABLE ONLY public.projector_schema_migrations
    ADD CONSTRAINT projector_schema_migrations_pkey PRIMARY KEY (version);

CREATE INDEX dead_letters_died ON projector.dead_letters USING btree (died_at DESC, topic, partition, "offset");

CREATE INDEX parked_delegation ON projector.parked USING btree (delegation_id, seq);

CREATE INDEX idx_delegations_callee_created ON public.delegations USING btree (callee_id, created_at DESC);

CREATE INDEX idx_delegations_caller_created ON public.delegations USING btree (caller_id, created_at DESC);

CREATE UNIQUE INDEX idx_delegations_idempotency ON public.delegations USING btree (caller_id, idempotency_key) WHERE (idempotency_key IS NOT NULL);

CREATE INDEX idx_delegations_inflight_heartbeat ON public.delegations USING btree (last_heartbeat NULLS FIRST) WHERE (status = ANY (ARRAY['queued'::text, 'dispatched'::text, 'in_progress'::text]));
