package signals

// dialects say who reports limits in which headers. To add a vendor, add a row here and
// what it sends to TestDialects. Rows may share headers: what they say of one limit is
// read together. Of several forms of the same value, the one in the earlier row counts.
//
// A header that means something else elsewhere, or whose unit is uncertain, has no row:
// what is not read does no harm.
var dialects = []dialect{
	// The wait, the more precise forms first.
	{"OpenAI, to wait", "https://github.com/openai/openai-python", []fields{{headers: headers{waitMs: "Retry-After-Ms"}}}},
	{"Azure, to wait", "https://learn.microsoft.com/rest/api/cosmos-db/common-cosmosdb-rest-response-headers", []fields{{headers: headers{waitMs: "X-Ms-Retry-After-Ms"}}}},
	{"Traefik", "https://doc.traefik.io/traefik/middlewares/http/ratelimit/", []fields{{headers: headers{waitMs: "X-Retry-In"}}}},
	{"RFC 9110", "https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3", []fields{{headers: headers{waitFor: "Retry-After"}}}},
	{"Symfony, Smoobu", "https://symfony.com/doc/current/rate_limiter.html", []fields{{headers: headers{waitFor: "X-RateLimit-Retry-After"}}}},
	{"Wildberries", "https://dev.wildberries.ru/en/openapi/api-information", []fields{{headers: headers{waitFor: "X-RateLimit-Retry"}}}},
	{"OpenSky, Bucket4j", "https://openskynetwork.github.io/opensky-api/rest.html", []fields{{headers: headers{waitFor: "X-Rate-Limit-Retry-After-Seconds"}}}},
	{"Contentful, to wait", "https://www.contentful.com/developers/docs/references/content-management-api/#/introduction/api-rate-limits", []fields{{headers: headers{waitFor: "X-Contentful-RateLimit-Reset"}}}},

	// The common forms, and what some add to them.
	{"IETF", "https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/", []fields{{three: "RateLimit-*", headers: headers{states: "RateLimit", policies: "RateLimit-Policy"}, common: true}}},
	{"GitLab", "https://docs.gitlab.com/administration/settings/user_and_ip_rate_limits/#response-headers", []fields{{three: "RateLimit-*", headers: headers{used: "RateLimit-Observed", title: "RateLimit-Name", reset: "RateLimit-ResetTime"}}}},
	{"Yelp", "https://docs.developer.yelp.com/docs/fusion-rate-limiting", []fields{{three: "RateLimit-*", headers: headers{quota: "RateLimit-DailyLimit", reset: "RateLimit-ResetTime"}}}},
	{"GitHub", "https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api", []fields{{three: "X-RateLimit-*", headers: headers{used: "X-RateLimit-Used", title: "X-RateLimit-Resource"}, common: true}}},
	{"Akamai", "https://techdocs.akamai.com/adaptive-media-delivery/reference/rate-limiting", []fields{
		{three: "X-RateLimit-*", headers: headers{resetMs: "X-RateLimit-Next"}}, // sent if none remain
	}},
	{"Discord", "https://discord.com/developers/docs/topics/rate-limits", []fields{{three: "X-RateLimit-*", headers: headers{resetIn: "X-RateLimit-Reset-After", title: "X-RateLimit-Bucket"}}}},
	{"Datadog", "https://docs.datadoghq.com/api/latest/rate-limits/", []fields{{three: "X-RateLimit-*", headers: headers{window: "X-RateLimit-Period", title: "X-RateLimit-Name"}}}},
	{"Elastic Cloud", "https://www.elastic.co/docs/api/doc/cloud/topic/topic-rate-limiting", []fields{{three: "X-RateLimit-*", headers: headers{window: "X-RateLimit-Interval"}}}},
	{"Confluence, Jira Data Center", "https://confluence.atlassian.com/doc/_ratelimiting_httpheaders-992678779.html", []fields{{three: "X-RateLimit-*", headers: headers{window: "X-RateLimit-Interval-Seconds", refill: "X-RateLimit-FillRate"}}}},
	{"Spring Cloud Gateway", "https://docs.spring.io/spring-cloud-gateway/reference/spring-cloud-gateway-server-webflux/gatewayfilter-factories/requestratelimiter-factory.html", []fields{{three: "X-RateLimit-*", headers: headers{quota: "X-RateLimit-Burst-Capacity", refill: "X-RateLimit-Replenish-Rate"}}}},
	{"ListenBrainz", "https://listenbrainz.readthedocs.io/en/latest/users/api/index.html#rate-limiting", []fields{{three: "X-RateLimit-*", headers: headers{resetIn: "X-RateLimit-Reset-In"}}}},
	{"Freshdesk", "https://developers.freshdesk.com/api/#ratelimit", []fields{{three: "X-RateLimit-*", headers: headers{quota: "X-RateLimit-Total"}}}},
	{"Zoom", "https://developers.zoom.us/docs/api/rate-limits/", []fields{{three: "X-RateLimit-*", headers: headers{title: "X-RateLimit-Category"}}}},
	{"Brave Search", "https://api-dashboard.search.brave.com/documentation/guides/rate-limiting", []fields{{three: "X-RateLimit-*", headers: headers{policies: "X-RateLimit-Policy"}}}},
	{"Strava", "https://developers.strava.com/docs/rate-limits/", []fields{
		{three: "X-RateLimit-*", headers: headers{used: "X-RateLimit-Usage"}},
		{headers: headers{quota: "X-ReadRateLimit-Limit", used: "X-ReadRateLimit-Usage"}, name: "read"},
	}},
	{"EVE Online", "https://developers.eveonline.com/docs/services/esi/rate-limiting/", []fields{{three: "X-RateLimit-*", headers: headers{title: "X-RateLimit-Group"}}}},
	{"Basecamp, Trakt", "https://github.com/basecamp/bc3-api#rate-limiting", []fields{{three: "X-RateLimit-*", headers: headers{quota: "X-RateLimit"}}}},
	{"other windows", "https://github.com/search?q=X-RateLimit-Window&type=code", []fields{{three: "X-RateLimit-*", headers: headers{window: "X-RateLimit-Window X-RateLimit-Window-Seconds", windowMs: "X-RateLimit-Window-Ms X-RateLimit-Interval-Ms", resetMs: "X-RateLimit-Reset-Ms", resetIn: "X-RateLimit-Reset-Seconds"}}}},
	{"X", "https://docs.x.com/x-api/fundamentals/rate-limits", []fields{
		{three: "X-Rate-Limit-*", headers: headers{title: "X-Rate-Limit-Resource"}, common: true},
		{three: "X-@-Limit-24Hour-*", each: "App User", per: day},
	}},
	{"Zendesk", "https://developer.zendesk.com/api-reference/introduction/rate-limits/", []fields{
		{three: "X-Rate-Limit-*", headers: headers{quota: "X-Rate-Limit"}},
		{headers: headers{states: "Zendesk-RateLimit-@"}, each: "Tickets-Index Tickets-Index-Pagination Tickets-Index-Deep-Pagination Search-Index Incremental-Exports Incremental-Exports-Cursor Create-Update-User Endpoint"},
	}},
	{"BigCommerce", "https://docs.bigcommerce.com/docs/start/best-practices/api-rate-limits", []fields{{headers: headers{quota: "X-Rate-Limit-Requests-Quota", remaining: "X-Rate-Limit-Requests-Left", resetMs: "X-Rate-Limit-Time-Reset-Ms", windowMs: "X-Rate-Limit-Time-Window-Ms"}}}},
	{"Crossref, Mapbox", "https://www.crossref.org/documentation/retrieve-metadata/rest-api/access-and-authentication/", []fields{{three: "X-Rate-Limit-*", headers: headers{window: "X-Rate-Limit-Interval"}}}},
	{"tollbooth", "https://github.com/didip/tollbooth", []fields{{three: "X-Rate-Limit-*", headers: headers{window: "X-Rate-Limit-Duration X-Rate-Limit-Window X-Rate-Limit-Period"}}}},

	// Several windows side by side.
	{"Kong", "https://developer.konghq.com/plugins/rate-limiting/", []fields{
		{three: "X-RateLimit-*-@", each: "Second Minute Hour Day"},
		{three: "X-RateLimit-*-Month", name: "month", per: 30 * day},
		{three: "X-RateLimit-*-Year", name: "year", per: 365 * day},
	}},
	{"Uzum, others", "https://github.com/search?q=X-RateLimit-Remaining-Per-Day&type=code", []fields{{three: "X-RateLimit-*-Per-@", each: "Second Minute Hour Day"}}},
	{"Metron", "https://metron.cloud/docs/", []fields{{three: "X-RateLimit-@-*", each: "Burst Sustained"}}},
	{"Riot Games", "https://developer.riotgames.com/docs/portal#web-apis_rate-limiting", []fields{{headers: headers{pairs: "X-@-Rate-Limit", pairsUsed: "X-@-Rate-Limit-Count"}, each: "App Method"}}},
	{"Path of Exile", "https://www.pathofexile.com/developer/docs/index#ratelimits", []fields{{headers: headers{pairs: "X-Rate-Limit-@", pairsUsed: "X-Rate-Limit-@-State"}, each: "Account Client Ip"}}},
}
