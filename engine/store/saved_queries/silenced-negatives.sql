-- Negatives by run and source: the share that the hinge has not silenced
SELECT run_id, negative_source, count(*) AS pairs,
       round(avg(active), 3) AS active_share,
       round(avg(negative_cross_entropy), 3) AS cross_entropy,
       round(avg(negative_quality), 3) AS quality
FROM rationale_pairs
WHERE negative IS NOT NULL
GROUP BY run_id, negative_source
ORDER BY run_id DESC, negative_source;
